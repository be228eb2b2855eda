"""Codebook trainers of several replicas: one trains, all adopt, and what it learned from is the whole index."""

import asyncio
from contextlib import AsyncExitStack

import numpy as np
from shard_world import SETTINGS, SPACE, World, running, world

from omma.buckets import bucket_of, buckets_of_shard
from services.nn_shard.sampling import LogSample

__all__ = ["world"]

SHARDS = 4
REPLICAS = 2


async def test_two_replicas_of_four_shards_train_one_codebook_on_rows_of_all_shards(world: World) -> None:
    index = await world.register(SHARDS)
    await world.put(900)
    async with AsyncExitStack() as stack:
        every = [
            await stack.enter_async_context(running(world.shard(index, number, SETTINGS, f"{number}/{replica}")))
            for number in range(SHARDS)
            for replica in range(REPLICAS)
        ]
        async with asyncio.timeout(60):
            while not all(shard.replica.loaded().codebook for shard in every):
                await asyncio.gather(*(shard.replica.lag() for shard in every))
        (published,) = [key async for key in world.blobs.keys("codebooks/")]
        codebooks = [shard.replica.loaded().codebook for shard in every]
        assert {f"codebooks/{one.id}" for one in codebooks if one} == {published}
        assert all(one and one.train_rows > 900 / SHARDS for one in codebooks)


async def test_the_sample_is_the_others_newest_vectors(world: World) -> None:
    await world.put(400)
    await world.send([world.record(one, 2, regions=2) for one in range(1, 60)])
    await world.send([world.delete(one, 3) for one in range(1, 30)])
    sample = LogSample(world.log, SPACE, 1, SHARDS)
    own = buckets_of_shard(1, SHARDS, SPACE.buckets)
    others = [one for one in world.live().values() if bucket_of(one.image_id, SPACE.buckets) not in own]
    expected = np.concatenate([one.vectors for one in others]).astype(np.float32)
    rows = await sample.read(10_000)
    assert sorted(rows.tolist()) == sorted(expected.tolist())
    assert len(await sample.read(100)) == 100
    assert (await sample.read(0)).shape == (0, SPACE.dim)

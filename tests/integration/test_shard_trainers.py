"""Codebooks: one replica trains, all adopt; trainers that die are replaced; a rebuild has its own."""

import asyncio
import math
import os
import re
import signal
from contextlib import AsyncExitStack
from dataclasses import replace

import numpy as np
import pytest

from omma.buckets import bucket_of, buckets_of_shard
from omma.index import IndexId, IndexState
from omma.rpc.deadline import Deadline
from services.nn_shard.training import sampling
from services.nn_shard.training.fitting import adapt_factory, sample_rows
from services.nn_shard.training.sampling import LogSample
from services.nn_shard.training.trainer import TrainingFailed
from tests.integration.shard_world import SETTINGS, SPACE, World, caught_up, query, require_model, running, world

__all__ = ["world"]

SHARDS = 4
REPLICAS = 2


async def test_the_codebook_is_trained_once_and_adopted_by_every_shard(world: World) -> None:
    index = await world.register(shards=2)
    settings = SETTINGS.model_copy(update={"catalog_seconds": 3_600})  # looks only when it is told to
    async with (
        running(world.shard(index, 0, settings, "a")) as a,
        running(world.shard(index, 1, settings, "b")) as b,
    ):
        await world.put(900)
        await caught_up(world, a)
        await caught_up(world, b)
        async with asyncio.timeout(60):
            while not (a.replica.loaded().codebook and b.replica.loaded().codebook):
                await asyncio.gather(a.trainer.look(), b.trainer.look())
        published = [key async for key in world.blobs.keys("codebooks/")]
        row = next(one for one in await world.catalog.indexes() if one.id == index.id)
        codebooks = {shard.replica.loaded().codebook.id for shard in (a, b)}  # type: ignore[union-attr]
        assert published == [f"codebooks/{row.codebook}"]
        assert codebooks == {row.codebook}
        for image_id, record in list(world.live().items())[:20]:
            asked = query(index, record.vectors[0].astype(np.float32), k=1)
            answers = [await shard.client.search(asked, Deadline.after(10)) for shard in (a, b)]
            assert any(answer.hits.ids.tolist() == [image_id] for answer in answers)
    async with running(world.shard(index, 0, folder="a")) as a:
        assert a.replica.loaded().codebook is not None
        assert a.replica.loaded().counts().head_rows == 0


async def test_a_killed_trainer_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    index = await world.register()
    settings = SETTINGS.model_copy(update={"catalog_seconds": 3_600})
    killed: list[int] = []
    start = asyncio.create_subprocess_exec

    async def start_and_kill(*arguments: str, env: dict[str, str]) -> asyncio.subprocess.Process:
        process = await start(*arguments, env=env)
        if not killed:
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_kill)
    async with running(world.shard(index, settings=settings)) as shard:
        await world.put(700)
        await caught_up(world, shard)
        with pytest.raises(TrainingFailed, match="-9"):
            await shard.trainer.look()
        assert shard.replica.loaded().codebook is None
        await shard.trainer.look()
        assert shard.replica.loaded().codebook is not None
    assert killed


async def test_a_trainer_whose_machine_is_gone_is_replaced_when_its_lease_ends(world: World) -> None:
    index = await world.register()
    settings = SETTINGS.model_copy(update={"catalog_seconds": 3_600})
    async with running(world.shard(index, settings=settings)) as shard:
        await world.put(700)
        await caught_up(world, shard)
        assert await world.catalog.acquire_lease(f"codebook:{index.id}", "gone", 0.2)
        await shard.trainer.look()
        assert shard.replica.loaded().codebook is None
        async with asyncio.timeout(30):
            while shard.replica.loaded().codebook is None:
                await shard.trainer.look()


async def test_a_rebuild_is_a_new_index_with_its_own_codebook(world: World) -> None:
    index = await world.register()
    grown = SETTINGS.engine.model_copy(update={"train_sample_rows": 300, "rebuild_growth": 1.5})
    settings = SETTINGS.model_copy(update={"catalog_seconds": 3_600, "engine": grown})
    async with running(world.shard(index, settings=settings)) as shard:
        await world.put(700)
        await caught_up(world, shard)
        assert await shard.build()
        assert shard.replica.loaded().rebuild_proposed is None
        await world.put(1_000, first=1_000)
        await caught_up(world, shard)
        assert shard.replica.loaded().rebuild_proposed
        rebuilt = replace(index, id=IndexId(f"{SPACE.id}.rebuilt"), state=IndexState.BUILDING)
        await world.catalog.register_index(rebuilt)
        async with running(world.shard(rebuilt, settings=settings, folder="rebuilt")) as other:
            assert await other.build()
            before, after = shard.replica.loaded(), other.replica.loaded()
            assert before.codebook
            assert after.codebook
            assert after.codebook.id != before.codebook.id
            assert after.rebuild_proposed is None
            await require_model(world, other, rebuilt)
        await require_model(world, shard, index)


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


async def test_the_sample_is_the_others_newest_vectors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.put(400)
    await world.send([world.record(one, 2, regions=2) for one in range(1, 60)])
    await world.send([world.delete(one, 3) for one in range(1, 30)])
    sample = LogSample(world.log, SPACE, 1, SHARDS)
    own = buckets_of_shard(1, SHARDS, SPACE.buckets)
    others = [one for one in world.live().values() if bucket_of(one.image_id, SPACE.buckets) not in own]
    expected = np.concatenate([one.vectors for one in others]).astype(np.float32)

    async def read(rows: int) -> list[list[float]]:
        return [row for part in [one async for one in sample.read(rows)] for row in part.tolist()]

    assert sorted(await read(10_000)) == sorted(expected.tolist())
    assert len(await read(100)) == 100
    assert await read(0) == []
    monkeypatch.setattr(sampling, "_PICTURES_A_BUCKET", 5)
    some = await read(10_000)
    assert 0 < len(some) < len(expected) / 2
    assert all(row in expected.tolist() for row in some), "the newest of each, also of some"


@pytest.mark.parametrize("planned", [256, 65_536, 1_000_000, 10_000_000, 1_000_000_000])
def test_a_sample_grows_with_the_root_of_what_it_stands_for(planned: int) -> None:
    rows = sample_rows(planned)
    lists = int(re.findall(r"IVF(\d+)", adapt_factory("IVF{nlist},PQ8x8", 16, rows, planned))[0])
    assert rows == min(planned, 4_194_304, 128 * lists) or planned < 65_536
    if planned >= 1_000_000:
        assert math.sqrt(planned) < lists < 4 * math.sqrt(planned)


async def test_what_a_training_that_died_left_is_removed(world: World) -> None:
    index = await world.register()
    left = world.folder / "shard" / "codebook-left"
    left.mkdir(parents=True)
    (left / "sample").write_bytes(b"0" * 1_000)
    async with running(world.shard(index)) as shard:
        await world.put(700)
        async with asyncio.timeout(60):
            while shard.replica.loaded().codebook is None or left.exists():  # noqa: ASYNC110  the shard's own pace
                await asyncio.sleep(0.02)
        assert not list(left.parent.glob("codebook-*"))

"""What a shard on the real log, blobs and catalog answers: receipts, refusals, whose pictures."""

import asyncio
from dataclasses import replace

import faiss
import numpy as np
import pytest

from omma.errors import InvalidQuery, ReplicaDown, WrongSpace, WrongState
from omma.hits import Degraded
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from tests.integration.shard_world import ANN, DIM, World, query, running, world

__all__ = ["world"]


async def test_a_search_with_a_receipt_sees_the_write(world: World) -> None:
    index = await world.register()
    async with running(world.shard(index)) as shard:
        record = world.record(5)
        asked = query(
            index, record.vectors[0].astype(np.float32), k=1, receipts=(Receipt(ImageId(5), Version(1)),), exact=True
        )
        searching = asyncio.create_task(shard.client.search(asked, Deadline.after(20)))
        await asyncio.sleep(0)
        await world.send([record])
        answer = await searching
        assert answer.hits.ids.tolist() == [5]
        assert not answer.degraded


async def test_a_receipt_that_does_not_come_in_time_is_said_and_the_answer_still_comes(world: World) -> None:
    index = await world.register()
    await world.put(20)
    async with running(world.shard(index)) as shard:
        asked = query(index, normalise(np.ones(DIM)), receipts=(Receipt(ImageId(5), Version(2)),))
        answer = await shard.client.search(asked, Deadline.after(3))
        assert answer.degraded == {Degraded.RECEIPT_PENDING}
        assert len(answer.hits) == 10


async def test_a_short_search_on_the_loop_takes_no_other_core(world: World) -> None:
    faiss.omp_set_num_threads(4)
    async with running(world.shard(await world.register())):
        assert faiss.omp_get_max_threads() == 1


async def test_a_query_for_something_else_is_refused(world: World) -> None:
    index = await world.register()
    await world.put(5)
    unit = normalise(np.ones(DIM))
    shard = world.shard(index)
    with pytest.raises(ReplicaDown):
        await shard.client.search(query(index, unit), Deadline.after(1))
    async with running(shard):
        asked = query(index, unit)
        for wrong, error in (
            ({"index": "other.1"}, WrongState),
            ({"space": "other"}, WrongSpace),
            ({"query": unit[:4]}, InvalidQuery),
            ({"query": 2 * unit}, InvalidQuery),
            ({"query": np.full(DIM, np.nan, np.float32)}, InvalidQuery),
            ({"k": 0}, InvalidQuery),
            ({"effort": 11}, InvalidQuery),
            ({"filter": "{"}, InvalidQuery),
        ):
            with pytest.raises(error):
                await shard.client.search(replace(asked, **wrong), Deadline.after(5))


async def test_excluded_pictures_and_other_tenants_are_left_out(world: World) -> None:
    index = await world.register()
    await world.put(30)
    await world.send([world.record(one, tenant=Tenant("bob")) for one in range(100, 110)])
    async with running(world.shard(index)) as shard:
        unit = normalise(np.ones(DIM))
        every = await shard.client.search(query(index, unit, k=40, exact=True), Deadline.after(5))
        assert set(every.hits.ids.tolist()) == set(range(1, 31))
        best = tuple(every.hits.ids[:2].tolist())
        rest = await shard.client.search(query(index, unit, k=5, exact=True, exclude_ids=best), Deadline.after(5))
        assert rest.hits.ids.tolist() == every.hits.ids[2:7].tolist()
        assert await shard.client.fetch(ANN, [ImageId(100)], Deadline.after(5)) == []
        assert len(await shard.client.fetch(None, [ImageId(100)], Deadline.after(5))) == 1

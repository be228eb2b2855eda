"""A shard over gRPC answers as it does in process, errors too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from omma.errors import InvalidQuery, OmmaError, OutOfTime, ReplicaDown, WrongSpace, WrongState
from omma.hits import Hits, ShardHits
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.v1 import shard_pb2_grpc
from omma.vectors import normalise
from services.nn_shard.client import RemoteShard
from services.nn_shard.servicer import ShardServicer
from services.nn_shard.shard import Shard
from tests.integration.shard_world import ANN, DIM, World, query, running, world

__all__ = ["world"]


@asynccontextmanager
async def served(shard: Shard) -> AsyncIterator[RemoteShard]:
    servicer = ShardServicer(lambda _: shard.client)
    server = RpcServer([partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, servicer)])
    remote = RemoteShard.at(f"127.0.0.1:{await server.start('127.0.0.1:0')}")
    try:
        yield remote
    finally:
        await remote.close()
        await server.stop(0)


def same_hits(one: Hits, other: Hits) -> None:
    for field in fields(Hits):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b


async def test_equal_to_the_shard_in_process(world: World) -> None:
    index = await world.register()
    await world.put(120)
    await world.send([world.record(one, version=2, regions=3) for one in range(1, 40)])
    async with running(world.shard(index)) as shard, served(shard) as remote:
        for options in (
            {},
            {"exact": True},
            {"with_payload": True, "with_vectors": True},
            {"use_crops": True, "k": 200},
            {"filter": '{"owner":"o1"}', "with_payload": True},
            {"filter": '{"owner":"nobody"}', "with_payload": True, "with_vectors": True},
            {"exclude_ids": (1, 2, 3), "effort": 10},
            {"receipts": (Receipt(ImageId(5), Version(2)),)},
        ):
            asked = query(index, normalise(world.random.standard_normal(DIM)), **options)
            local = await shard.client.search(asked, Deadline.after(10))
            over = await remote.search(asked, Deadline.after(10))
            same_hits(over.hits, local.hits)
            assert replace(over, hits=local.hits) == local
        explained = await remote.search(replace(asked, explain=True), Deadline.after(10))
        assert explained.stage_us
        ids = [ImageId(one) for one in (7, 999, 80)]
        for tenant in (ANN, None, Tenant("bob")):
            here = await shard.client.fetch(tenant, ids, Deadline.after(10))
            there = await remote.fetch(tenant, ids, Deadline.after(10))
            assert (
                [one.image_id for one in there]
                == [one.image_id for one in here]
                == ([7, 80] if tenant != "bob" else [])
            )
            for one, other in zip(there, here, strict=True):
                np.testing.assert_array_equal(one.vectors, other.vectors)
                np.testing.assert_array_equal(one.boxes, other.boxes)
                assert (one.payload, one.phash, one.version) == (other.payload, other.phash, other.version)
        assert await remote.stats(Deadline.after(10)) == await shard.client.stats(Deadline.after(10))


async def test_errors_arrive_as_what_they_are(world: World) -> None:
    index = await world.register()
    await world.put(5)
    asked = query(index, normalise(np.ones(DIM)))
    shard = world.shard(index)
    async with served(shard) as remote:
        with pytest.raises(ReplicaDown):
            await remote.search(asked, Deadline.after(5))
        async with running(shard):
            wrongs: list[tuple[dict[str, object], type[OmmaError]]] = [
                ({"index": "other.1"}, WrongState),
                ({"space": "other"}, WrongSpace),
                ({"query": normalise(np.ones(DIM + 1))}, InvalidQuery),
                ({"k": -1}, InvalidQuery),
                ({"filter": '{"colour": "red"}'}, InvalidQuery),
            ]
            for wrong, error in wrongs:
                with pytest.raises(error) as raised:
                    await remote.search(replace(asked, **wrong), Deadline.after(5))  # type: ignore[arg-type]
                assert raised.value.field == next(iter(wrong)).replace("query", "vector")
            with pytest.raises(OutOfTime):
                await remote.search(asked, Deadline.after(0))
    with pytest.raises(ReplicaDown):
        unreachable = RemoteShard.at("127.0.0.1:9")
        try:
            await unreachable.search(asked, Deadline.after(5))
        finally:
            await unreachable.close()


async def test_several_in_a_call_are_answered_as_each_alone(world: World) -> None:
    index = await world.register()
    await world.put(200)
    asked = [query(index, normalise(world.random.standard_normal(DIM)), k=k, with_payload=True) for k in range(1, 30)]
    wrong = {7: ({"k": -1}, InvalidQuery), 9: ({"space": "other"}, WrongSpace), 12: ({"index": "other.1"}, WrongState)}
    for at, (changed, _) in wrong.items():
        asked[at] = replace(asked[at], **changed)  # type: ignore[arg-type]
    async with running(world.shard(index)) as shard, served(shard) as remote:
        calls = 0
        ask = remote._search

        def counted(*given: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            return ask(*given, **options)

        remote._search = counted  # type: ignore[assignment]
        told = await asyncio.gather(*(remote.search(one, Deadline.after(20)) for one in asked), return_exceptions=True)
        assert calls < len(asked) / 2
        for at, (one, answer) in enumerate(zip(asked, told, strict=True)):
            if at in wrong:
                assert isinstance(answer, wrong[at][1])
                assert answer.field == next(iter(wrong[at][0]))
            else:
                assert isinstance(answer, ShardHits)
                same_hits(answer.hits, (await shard.client.search(one, Deadline.after(20))).hits)

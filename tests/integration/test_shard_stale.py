"""A replica that answers and no longer reads: seen by its answers and its stats, and mended by itself."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from omma.hits import Degraded, ShardHits
from omma.index import Index
from omma.log.interface import Consumer, TopicPartition
from omma.log.sqlite import SqliteLog
from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from services.nn_shard.shard import Shard
from tests.integration.shard_world import DIM, SETTINGS, World, caught_up, query, require_model, running, world
from tests.waiting import eventually

__all__ = ["world"]

QUICK = SETTINGS.model_copy(
    update={"stale_seconds": 0.3, "lag_check_seconds": 0.02, "poll_seconds": 0.05, "log_timeout_seconds": 0.2}
)


async def asked(index: Index, shard: Shard) -> ShardHits:
    return await shard.client.search(query(index, normalise(np.ones(DIM)), k=500, exact=True), Deadline.after(5))


async def until_stale(shard: Shard, stale: bool = True) -> None:
    await eventually(lambda: shard.replica.stale is stale, 20)
    assert (await shard.client.stats(Deadline.after(5))).stale is stale


@pytest.fixture
def consumers(monkeypatch: pytest.MonkeyPatch) -> list[Consumer]:
    """Those that replicas make, in order."""
    made: list[Consumer] = []
    assign = SqliteLog.assign

    async def recorded(self: SqliteLog, positions: Mapping[TopicPartition, int]) -> Consumer:
        made.append(await assign(self, positions))
        return made[-1]

    monkeypatch.setattr(SqliteLog, "assign", recorded)
    return made


async def test_a_consumer_that_gets_nothing_any_more_is_noticed_while_the_server_answers(
    world: World, consumers: list[Consumer]
) -> None:
    index = await world.register()
    await world.put(50)
    async with running(world.shard(index, settings=QUICK, folder="a")) as a:
        (stalled,) = consumers
        async with running(world.shard(index, settings=QUICK, folder="b")) as b:
            stalled.pause(stalled.assignment())
            await world.put(30, first=100)
            await caught_up(world, b)
            await until_stale(a)
            behind, ahead = await asked(index, a), await asked(index, b)
            assert behind.degraded == {Degraded.STALE_REPLICA}
            assert len(behind.hits) == 50
            assert ahead.degraded == frozenset()
            assert ahead.applied - behind.applied == 30
            assert a.replica.ready, "one that is stale still serves: all may be stale at once"
            assert (await a.client.stats(Deadline.after(5))).lag == 30
            stalled.resume(stalled.assignment())
            await until_stale(a, False)
            assert (await asked(index, a)).applied == ahead.applied
            await require_model(world, a, index)


async def test_without_a_log_it_answers_and_says_how_it_stands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(topic: str) -> None:
        raise ConnectionRefusedError("no broker")

    index = await world.register()
    await world.put(50)
    async with running(world.shard(index, settings=QUICK)) as shard:
        await world.log.close()
        monkeypatch.setattr(world.log, "end_offsets", unreachable)
        await until_stale(shard)
        answer = await asked(index, shard)
        assert answer.degraded == {Degraded.STALE_REPLICA}
        assert len(answer.hits) == 50
        assert shard.replica.ready
    world.log = await SqliteLog.open(world.folder / "log.db")


async def test_a_poll_that_hangs_is_given_up_and_another_consumer_reads_on(
    world: World, consumers: list[Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await world.register()
    await world.put(20)
    async with running(world.shard(index, settings=QUICK)) as shard:
        hung = asyncio.Event()

        async def hang(max_records: int, timeout_seconds: float) -> None:
            hung.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(consumers[0], "poll", hang)
        await hung.wait()
        await world.put(20, first=100)
        await caught_up(world, shard)
        await require_model(world, shard, index)
    assert len(consumers) == 2


async def test_a_log_that_comes_late_is_waited_for(world: World, tmp_path: Path) -> None:
    """A shard that starts while the log is away loads when it is back, and does not end."""
    index = await world.register()
    await world.put(40)
    shard = world.shard(index, settings=QUICK)
    identity, away = world.log.identity, asyncio.Event()

    async def unreachable(topic: str | None = None) -> str:
        away.set()
        raise ConnectionRefusedError("no broker")

    world.log.identity = unreachable  # type: ignore[method-assign]
    running_shard = asyncio.create_task(shard.run())
    await away.wait()
    assert not running_shard.done()
    world.log.identity = identity  # type: ignore[method-assign]
    async with asyncio.timeout(20):
        await shard.replica.until_ready()
    await require_model(world, shard, index)
    running_shard.cancel()
    await asyncio.gather(running_shard, return_exceptions=True)

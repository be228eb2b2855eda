"""The fan-out over real replicas that are killed, stopped, started again, and left behind."""

import asyncio
import signal
import time
from collections import Counter

import numpy as np

from omma.hits import Degraded
from omma.vectors import normalise
from services.gateway.search.fanout import FanoutSettings
from tests.integration.fanout_world import Cluster, cluster
from tests.integration.shard_world import DIM, World, world

__all__ = ["world"]

VECTORS = [normalise(np.random.default_rng(seed).standard_normal(DIM)) for seed in range(8)]


async def answers(made: Cluster) -> list[list[int]]:
    return [(await made.search(vector))[0] for vector in VECTORS]


async def load(made: Cluster, until: asyncio.Event, clients: int = 4) -> tuple[Counter[str], list[float]]:
    """Searches from several clients until told to stop: how they ended, and seconds each."""
    ended: Counter[str] = Counter()
    seconds: list[float] = []

    async def client() -> None:
        while not until.is_set():
            started = time.perf_counter()
            _, _, coverage = await made.search()
            seconds.append(time.perf_counter() - started)
            ended["whole" if coverage.fraction == 1 else "partial"] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return ended, seconds


async def test_a_killed_replica_costs_no_search_and_is_used_again_when_it_is_back(world: World) -> None:
    await world.put(400)
    async with cluster(world, 2) as made:
        before = await answers(made)
        stop = asyncio.Event()
        running = asyncio.create_task(load(made, stop))
        await made.until(lambda: True)
        victims = [group[0] for group in made.replicas]
        for victim in victims:
            victim.signal(signal.SIGKILL)
        for victim in victims:
            await victim.kill()
        assert await answers(made) == before
        stop.set()
        ended, _ = await running
        assert ended["partial"] == 0
        assert ended["whole"] > 10

        for victim in victims:
            await victim.start()
        await asyncio.gather(*(victim.until_ready() for victim in victims))
        back = time.monotonic()
        clients = [group[0] for group in made.served.shards]
        await made.until(lambda: all(client.connected for client in clients))
        asked = {0: False, 1: False}
        while not all(asked.values()):
            _, outcomes, _ = await made.search()
            for outcome in outcomes:
                asked[outcome.shard] |= outcome.replica == 0
            assert time.monotonic() - back < 10, "a returned replica is used again within seconds"
        assert await answers(made) == before


async def test_both_replicas_of_a_shard_gone_is_said(world: World) -> None:
    await world.put(400)
    async with cluster(world, 2) as made:
        _, whole, coverage = await made.search()
        assert coverage.fraction == 1.0
        live = [outcome.answer.live for outcome in whole if outcome.answer is not None]
        for replica in made.replicas[1]:
            await replica.kill()
        for _ in range(20):
            _, outcomes, coverage = await made.search()
            assert [outcome.answer is not None for outcome in outcomes] == [True, False]
            assert coverage.fraction == live[0] / sum(live)


async def test_a_hung_replica_is_overtaken_then_ejected_and_comes_back(world: World) -> None:
    await world.put(400)
    async with cluster(world, 2) as made:
        victim = made.replicas[0][1]
        victim.signal(signal.SIGSTOP)
        hung = [await timed(made, seconds=10.0) for _ in range(300)]
        assert max(hung) < 5.0, "no search waits for its deadline"
        victim.signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            while True:
                _, outcomes, _ = await made.search()
                if outcomes[0].replica == 1:
                    break


async def timed(made: Cluster, seconds: float) -> float:
    started = time.perf_counter()
    _, _, coverage = await made.search(seconds=seconds)
    assert coverage.fraction == 1.0
    return time.perf_counter() - started


async def test_a_replica_that_no_longer_consumes_is_passed_over(world: World) -> None:
    await world.put(200)
    copied = world.folder.with_name(f"{world.folder.name}-copied")
    settings = FanoutSettings(stale_records=10, stale_seconds=0.5)
    async with cluster(world, 1, copied=copied, settings=settings) as made:
        await world.put(100, first=1_000)
        fresh = made.replicas[0][0]  # the log of SQLite is followed in one process: started again, it reads the rest
        await fresh.kill()
        await fresh.start()
        await fresh.until_ready()
        await made.until(lambda: _passed_over(made))
        newest = [one.vectors[0] for one in (world.model[1_050], world.model[1_099])]
        for _ in range(20):
            for vector, image_id in zip(newest, (1_050, 1_099), strict=True):
                ids, outcomes, _ = await made.search(normalise(vector), k=1)
                assert ids == [image_id]
                assert outcomes[0].replica == 0
        await made.replicas[0][0].kill()
        _, (outcome,), coverage = await made.search()
        assert coverage.fraction == 1.0
        assert outcome.answer is not None
        assert Degraded.STALE_REPLICA in outcome.answer.degraded


def _passed_over(made: Cluster) -> bool:
    (replicas,) = made.fanout.known(made.index.id)
    return replicas.every[1].stale

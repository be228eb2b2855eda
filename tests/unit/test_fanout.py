"""Races over replicas that answer, fail, hang and are cancelled as the test says."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.errors import Bug, InvalidQuery, OutOfTime, Overloaded, ReplicaDown, WrongState
from omma.hits import Degraded, ShardHits, no_hits
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.index import Index, IndexId, IndexState
from omma.rpc.deadline import Deadline
from omma.space import Space, SpaceId
from omma.telemetry.metrics import SHARD_CALLS
from services.egs.client import Embedder
from services.gateway.search.fanout import Fanout, FanoutSettings
from services.nn_shard.client import ShardQuery
from services.topology.indexes import ServedIndex

SPACE = Space(SpaceId("s"), "m@1", "0" * 64, 4, buckets=8)
QUERY = ShardQuery(Tenant("ann"), "s.1", "s", np.array([1, 0, 0, 0], np.float32), 5)
SOON = FanoutSettings(hedge_first_seconds=0.001, hedge_min_seconds=0.001)


class Replica:
    """A ShardClient. says: raised or, None, answered; a callable is asked each time. hangs: until cancelled."""

    def __init__(self, says: Exception | Callable[[], Exception | None] | None = None, *, hangs: bool = False) -> None:
        self.says = says
        self.hangs = hangs
        self.connected = True
        self.state: int | None = None
        self.index = "s.1"
        self.live = 10
        self.asked: list[ShardQuery] = []
        self.cancelled = 0
        self.reached = asyncio.Event()

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        self.asked.append(query)
        self.reached.set()
        if self.hangs:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        await asyncio.sleep(0)
        fault = self.says() if callable(self.says) else self.says
        if fault is not None:
            raise fault
        return ShardHits(no_hits(), self.index, "s", self.live)

    async def stats(self, deadline: Deadline) -> Any:
        raise ReplicaDown("not now")


def served(*shards: tuple[Replica, ...]) -> ServedIndex:
    index = Index(IndexId("s.1"), SPACE.id, "Flat", len(shards), IndexState.LIVE)
    return ServedIndex(index, SPACE, cast(Any, shards), cast(Embedder, None))


def calls(attempt: str) -> float:
    return sum(
        sample.value
        for metric in SHARD_CALLS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["attempt"] == attempt
    )


@pytest.mark.parametrize("fault", [ReplicaDown("x"), Overloaded("x"), WrongState("x"), Bug("x"), RuntimeError("x")])
async def test_a_fault_goes_to_another_replica_at_once(fault: Exception) -> None:
    fanout, before = Fanout(), calls("failover")
    index = served((Replica(fault), Replica()), (Replica(), Replica(fault)))
    for _ in range(20):
        outcomes = await fanout.search(index, QUERY, (), Deadline.after(5))
        assert [outcome.replica for outcome in outcomes] == [1, 0]
        assert all(outcome.answer is not None for outcome in outcomes)
    # Three failures in a row eject; the probe that follows fails as well.
    assert 1 <= calls("failover") - before <= 6


async def test_an_answer_of_another_index_goes_to_another_replica() -> None:
    wrong = Replica()
    wrong.index = "s.2"
    (outcome,) = await Fanout(random=Random(1)).search(served((wrong, Replica())), QUERY, (), Deadline.after(5))
    assert outcome.replica == 1


async def test_all_replicas_failing_is_an_outcome_and_each_is_asked_once() -> None:
    group = (Replica(ReplicaDown("x")), Replica(Overloaded("y")), Replica(ReplicaDown("z")))
    outcomes = await Fanout().search(served(group, (Replica(),)), QUERY, (), Deadline.after(5))
    assert outcomes[0].answer is None
    assert isinstance(outcomes[0].error, ReplicaDown | Overloaded)
    assert outcomes[1].answer is not None
    assert [len(one.asked) for one in group] == [1, 1, 1]


async def test_what_is_wrong_with_the_query_is_asked_nobody_else() -> None:
    group = (Replica(InvalidQuery("x", field="k")), Replica(InvalidQuery("x", field="k")))
    fanout = Fanout()
    for _ in range(10):
        with pytest.raises(InvalidQuery):
            await fanout.search(served(group), QUERY, (), Deadline.after(5))
    assert sum(len(one.asked) for one in group) == 10
    assert not any(one.ejected for one in fanout.known("s.1")[0].every)


async def test_a_hung_replica_is_hedged_its_call_cancelled_and_then_it_is_ejected() -> None:
    hung, well = Replica(hangs=True), Replica()
    fanout = Fanout(SOON, random=Random(2))
    index = served((hung, well))
    for _ in range(50):
        (outcome,) = await fanout.search(index, QUERY, (), Deadline.after(30))
        assert outcome.replica == 1
    assert len(hung.asked) == SOON.eject_failures
    assert hung.cancelled == len(hung.asked)
    assert fanout.known("s.1")[0].every[0].in_flight == 0


async def test_without_a_budget_a_hung_replica_is_still_found_out() -> None:
    hung, well = Replica(hangs=True), Replica()
    chosen = FanoutSettings(hedge_share=0, hedge_first_seconds=0.001, hedge_min_seconds=0.001)
    fanout, before = Fanout(chosen), calls("hedge")
    index = served((hung, well))

    async def client() -> None:
        for _ in range(20):
            (outcome,) = await fanout.search(index, QUERY, (), Deadline.after(30))
            assert outcome.replica == 1

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(client())
    assert calls("hedge") == before
    assert fanout.known("s.1")[0].every[0].ejected


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.5), st.integers(0, 5), st.integers(1, 4))
def test_one_outcome_a_shard_in_order_and_hedges_within_the_budget(
    seed: int, share: float, burst: int, shards: int
) -> None:
    random = Random(seed)

    def whim() -> Exception | None:
        return random.choice([None, None, None, ReplicaDown("x"), Overloaded("x"), RuntimeError("x")])

    async def run() -> None:
        groups = [tuple(Replica(whim, hangs=random.random() < 0.2) for _ in range(3)) for _ in range(shards)]
        chosen = FanoutSettings(
            hedge_share=share, hedge_burst=burst, hedge_first_seconds=0.0005, hedge_min_seconds=0.0005
        )
        fanout, hedges, searches = Fanout(chosen, random=random), calls("hedge"), 10
        index = served(*groups)
        for _ in range(searches):
            outcomes = await fanout.search(index, QUERY, (), Deadline.after(0.02))
            assert [outcome.shard for outcome in outcomes] == list(range(shards))
            assert all((outcome.answer is None) != (outcome.error is None) for outcome in outcomes)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert calls("hedge") - hedges <= share * searches * shards + burst + 1e-6
        assert all(one.in_flight == 0 for known in fanout.known("s.1") for one in known.every)

    asyncio.run(run())


async def test_a_search_that_waits_for_receipts_is_not_hedged_by_pace() -> None:
    hung, well = Replica(hangs=True), Replica()
    fanout = Fanout(SOON, random=Random(2))
    receipts = [Receipt(ImageId(1), Version(1))]
    index = served((hung, well))
    search = asyncio.create_task(fanout.search(index, QUERY, receipts, Deadline.after(1.0)))
    while not hung.asked:
        if search.done():
            search = asyncio.create_task(fanout.search(index, QUERY, receipts, Deadline.after(1.0)))
        await asyncio.sleep(0)
    before = len(well.asked)
    await asyncio.sleep(20 * SOON.hedge_first_seconds)
    assert len(well.asked) == before, "it waits, as it was asked to"
    (outcome,) = await search
    assert outcome.replica == 1, "late, but within the deadline"
    assert hung.asked[-1].receipts == tuple(receipts)


async def test_a_cancelled_search_leaves_no_call_behind() -> None:
    group = (Replica(hangs=True), Replica(hangs=True))
    fanout = Fanout(SOON)
    index = served(group, (Replica(hangs=True),))
    search = asyncio.create_task(fanout.search(index, QUERY, (), Deadline.after(30)))
    await asyncio.gather(*(one.reached.wait() for one in group))
    search.cancel()
    await asyncio.gather(search, return_exceptions=True)
    await asyncio.sleep(0)
    assert [one.cancelled for one in group] == [1, 1]
    assert all(one.in_flight == 0 for known in fanout.known("s.1") for one in known.every)


async def test_the_deadline_ends_what_overruns_and_nothing_else() -> None:
    outcomes = await Fanout().search(served((Replica(hangs=True),), (Replica(),)), QUERY, (), Deadline.after(0.05))
    assert isinstance(outcomes[0].error, OutOfTime)
    assert outcomes[1].answer is not None
    late = await Fanout().search(served((Replica(),)), QUERY, (), Deadline.after(-1))
    assert isinstance(late[0].error, OutOfTime)


async def test_full_replicas_refuse_instead_of_queueing() -> None:
    group = (Replica(hangs=True), Replica(hangs=True))
    fanout = Fanout(FanoutSettings(max_in_flight=1, hedge_share=0))
    index = served(group)
    waiting = [asyncio.create_task(fanout.search(index, QUERY, (), Deadline.after(30))) for _ in group]
    await asyncio.gather(*(one.reached.wait() for one in group))
    (outcome,) = await fanout.search(index, QUERY, (), Deadline.after(30))
    assert isinstance(outcome.error, Overloaded)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_lost_connection_is_asked_last() -> None:
    lost, well = Replica(), Replica()
    lost.connected = False
    fanout = Fanout()
    for _ in range(20):
        await fanout.search(served((lost, well)), QUERY, (), Deadline.after(5))
    assert not lost.asked
    well.connected = False
    (outcome,) = await fanout.search(served((lost, well)), QUERY, (), Deadline.after(5))
    assert outcome.answer is not None, "rather than nothing"


async def test_what_a_replica_says_of_itself_counts() -> None:
    class Behind(Replica):
        async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
            self.asked.append(query)
            return ShardHits(no_hits(), self.index, "s", 1, frozenset({Degraded.STALE_REPLICA}))

    behind = Behind()
    fanout, index = Fanout(), served((behind, Replica()))
    for _ in range(20):
        await fanout.search(index, QUERY, (), Deadline.after(5))
    assert len(behind.asked) <= 1

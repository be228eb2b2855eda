"""Searches that go to a replica together: each has its own answer, a lone one never waits, a slow one blocks none."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.errors import InvalidQuery, OmmaError, OutOfTime, ReplicaDown, TooLarge
from omma.rpc.deadline import Deadline
from omma.rpc.errors import fault_of
from services.nn_shard.client.gathering import (
    MOST,
    MOST_HITS,
    PATIENCE_SECONDS,
    UNDER_WAY,
    Gathering,
    Request,
    Response,
)
from tests.unit.stepped_loop import run, step, stepped_loop, turns


class Shard:
    """Answers k to a search for k, as soon as it is let; k = 0 is a fault. earlier: it answers one a call."""

    def __init__(self, *, earlier: bool = False) -> None:
        self.earlier = earlier
        self.calls: list[list[int]] = []
        self.cancelled = 0
        self.fault: OmmaError | None = None
        self.free = asyncio.Event()

    async def __call__(self, request: Request, deadline: Deadline) -> Response:
        asked = [request.k, *(one.k for one in request.others)]
        self.calls.append(asked)
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault is not None and (len(asked) > 1 or not isinstance(self.fault, TooLarge)):
            raise self.fault
        looked_at = asked[:1] if self.earlier else asked
        first, *others = (self._answer(k, alone=len(looked_at) == 1) for k in looked_at)
        first.others.extend(others)
        return first

    def _answer(self, k: int, *, alone: bool) -> Response:
        if k:
            return Response(candidates=k)
        if alone:
            raise InvalidQuery("k is 1 or more.", field="k", limit=1)
        return Response(fault=fault_of(InvalidQuery("k is 1 or more.", field="k", limit=1)))

    def gathering(self) -> Gathering:
        return Gathering(self, "A shard", clock=stepped_loop().time)


def later(seconds: float) -> Deadline:
    return Deadline.after(seconds, stepped_loop().time)


class Searches:
    """Under way, each a task."""

    def __init__(self, shard: Shard) -> None:
        self.gathering = shard.gathering()
        self.tasks: list[asyncio.Task[Response]] = []

    async def ask(self, *ks: int, kind: str = "", seconds: float = 60.0, hits: int = 1) -> None:
        for k in ks:
            work: Coroutine[Any, Any, Response] = self.gathering.ask(kind, Request(k=k), hits, later(seconds))
            self.tasks.append(asyncio.create_task(work))
        await turns()

    async def told(self) -> list[object]:
        outcomes = await asyncio.gather(*self.tasks, return_exceptions=True)
        return [one.candidates if isinstance(one, Response) else type(one) for one in outcomes]


def test_a_lone_search_leaves_at_once_and_what_comes_meanwhile_goes_together() -> None:
    async def work() -> None:
        shard = Shard()
        searches = Searches(shard)
        await searches.ask(1)
        assert shard.calls == [[1]]
        await searches.ask(2, 3, 4, 5)
        assert shard.calls == [[1], [2]]
        shard.free.set()
        assert await searches.told() == [1, 2, 3, 4, 5]
        assert shard.calls == [[1], [2], [3, 4, 5]]

    run(work())


def test_nobody_waits_for_long_behind_a_replica_that_hangs() -> None:
    async def work() -> None:
        shard = Shard()
        searches = Searches(shard)
        await searches.ask(*range(1, UNDER_WAY + 4))
        assert len(shard.calls) == UNDER_WAY
        await step(PATIENCE_SECONDS)
        assert shard.calls[UNDER_WAY:] == [[UNDER_WAY + 1, UNDER_WAY + 2, UNDER_WAY + 3]]
        await searches.ask(9, kind="quick")
        assert shard.calls[-1] == [9]
        shard.free.set()
        await searches.told()

    run(work())


def test_a_search_out_of_time_ends_alone_and_a_call_that_nobody_waits_for_is_ended() -> None:
    async def work() -> None:
        shard = Shard()
        searches = Searches(shard)
        await searches.ask(*range(1, UNDER_WAY + 1))
        await searches.ask(7, seconds=1)
        await searches.ask(8, seconds=60)
        await step(PATIENCE_SECONDS)
        assert shard.calls[-1] == [7, 8]
        await step(1)
        assert searches.tasks[-2].done()
        assert isinstance(searches.tasks[-2].exception(), OutOfTime)
        assert not shard.cancelled
        searches.tasks[-1].cancel()
        await turns()
        assert shard.cancelled == 1
        await searches.ask(9)
        searches.tasks[-1].cancel()  # while it waits: it is never sent
        shard.free.set()
        await turns()
        assert [9] not in shard.calls

    run(work())


def test_a_shard_of_an_earlier_version_is_asked_for_the_others_alone() -> None:
    async def work() -> None:
        shard = Shard(earlier=True)
        searches = Searches(shard)
        await searches.ask(*range(1, UNDER_WAY + 4))
        shard.free.set()
        assert await searches.told() == list(range(1, UNDER_WAY + 4))
        shard.free.clear()
        before = len(shard.calls)
        await searches.ask(*range(1, 9))
        assert shard.calls[before:] == [[k] for k in range(1, 9)]  # it is known by now
        shard.free.set()
        await step(10)
        await searches.told()
        shard.free.clear()
        shard.earlier = False
        before = len(shard.calls)
        await searches.ask(*range(1, 9))
        assert len(shard.calls) == before + UNDER_WAY  # and asked again after a while
        shard.free.set()
        await searches.told()

    run(work())


def test_a_call_is_bounded_in_searches_and_in_hits() -> None:
    async def work() -> None:
        shard = Shard()
        searches = Searches(shard)
        await searches.ask(*range(1, UNDER_WAY + 1))
        await searches.ask(*range(100, 100 + MOST + 3))
        await searches.ask(500, 501, 502, kind="large", hits=MOST_HITS // 2 + 1)
        await searches.ask(503, 504, kind="large", hits=MOST_HITS // 2 + 1)
        shard.free.set()
        assert len(await searches.told()) == UNDER_WAY + MOST + 8
        sizes = [len(call) for call in shard.calls]
        assert max(sizes) == MOST
        assert all(len(call) == 1 for call in shard.calls if call[0] >= 500)

    run(work())


@pytest.mark.parametrize("fault", [ReplicaDown("gone"), TooLarge("more than a message holds")])
def test_what_ends_a_call_is_everyones_but_for_its_size(fault: OmmaError) -> None:
    async def work() -> None:
        shard = Shard()
        searches = Searches(shard)
        await searches.ask(*range(1, UNDER_WAY + 3))
        shard.fault = fault
        shard.free.set()
        told = await searches.told()
        expected = [UNDER_WAY + 1, UNDER_WAY + 2] if isinstance(fault, TooLarge) else [ReplicaDown, ReplicaDown]
        assert told[UNDER_WAY:] == expected

    run(work())


@settings(max_examples=60, deadline=None)
@given(
    searches=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b"]), st.booleans()), max_size=90),
    earlier=st.booleans(),
)
def test_each_gets_its_own_answer_or_fault(searches: list[tuple[int, str, bool]], earlier: bool) -> None:
    async def work() -> list[object]:
        shard = Shard(earlier=earlier)
        under_way = Searches(shard)
        for k, kind, pause in searches:
            await under_way.ask(k, kind=kind)
            if pause:
                await step(PATIENCE_SECONDS)
        shard.free.set()
        return await under_way.told()

    assert run(work()) == [k or InvalidQuery for k, _, _ in searches]

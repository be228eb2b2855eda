"""Which replica is asked: choice, ejection, budget, quantile and watermark, on a clock of the test's own."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import ReplicaDown
from omma.rpc.deadline import Deadline
from services.gateway.search.fanout.budget import HedgeBudget
from services.gateway.search.fanout.quantile import MovingQuantile
from services.gateway.search.fanout.replica import Standing
from services.gateway.search.fanout.replicas import Replicas
from services.gateway.search.fanout.settings import FanoutSettings
from services.gateway.search.fanout.watermark import Watermark
from services.nn_shard.client import ShardStats

SETTINGS = FanoutSettings(eject_failures=3, eject_seconds=1.0, eject_max_seconds=8.0, stale_records=10, stale_seconds=5)


class Client:
    """As much of a ShardClient as is looked at without a search."""

    def __init__(self) -> None:
        self.connected = True
        self.state: int | None = None
        self.ready = True
        self.offset = 0
        self.looks = 0

    async def stats(self, deadline: Deadline) -> ShardStats:
        self.looks += 1
        if not self.ready:
            raise ReplicaDown("loading")
        return ShardStats("i", "s", 0, 1, 1, 1, 0, 0, 0, "", (self.offset, 0), 0, True, False)


class Shard:
    """Replicas of one shard, and a clock."""

    def __init__(self, count: int, settings: FanoutSettings = SETTINGS) -> None:
        self.now = 1_000.0
        self.clients: list[Any] = [Client() for _ in range(count)]
        self.replicas = Replicas("i", 0, self.clients, settings, clock=lambda: self.now, random=Random(1))
        self.every = self.replicas.every

    def fail(self, number: int, times: int = 1) -> None:
        for _ in range(times):
            self.every[number].failed()
            self.replicas.review(self.every[number])

    def answer(self, number: int, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            self.every[number].answered(self.now, seconds)
            self.replicas.review(self.every[number])

    async def look(self) -> list[int]:
        due = self.replicas.to_look_at()
        for one in due:
            await self.replicas.look(one)
        return [one.number for one in due]

    def chosen(self) -> set[int]:
        return {replica.number for _ in range(50) if (replica := self.replicas.choose()) is not None}


def test_the_less_busy_of_two() -> None:
    shard = Shard(2)
    shard.every[0].in_flight = 1
    assert shard.chosen() == {1}
    shard.every[1].in_flight = 1
    assert shard.chosen() == {0, 1}
    many = Shard(5)
    many.every[3].in_flight = 9
    assert many.chosen() == {0, 1, 2, 4}


def test_a_full_replica_is_not_asked() -> None:
    shard = Shard(2, FanoutSettings(max_in_flight=3))
    shard.every[0].in_flight = 3
    shard.every[1].in_flight = 2
    assert shard.chosen() == {1}
    shard.every[1].in_flight = 3
    assert shard.replicas.choose() is None


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["fail", "answer", "slow", "connect", "lose", "stale", "fresh"])),
        max_size=60,
    )
)
def test_one_is_always_left_and_none_that_stands_worse_is_asked_before_it(events: list[tuple[int, str]]) -> None:
    shard = Shard(4)
    for number, event in events:
        shard.now += 0.1
        replica = shard.every[number]
        serving = [one for one in shard.every if one.standing <= Standing.STALE]
        match event:
            case "fail":
                shard.fail(number)
            case "answer":
                shard.answer(number, 0.002)
            case "slow":
                shard.answer(number, 0.5)
            case "stale" | "fresh":
                replica.stale = event == "stale"
            case _:
                shard.clients[number].connected = event == "connect"
        if event in {"fail", "answer", "slow"} and serving:
            assert any(one.standing <= Standing.STALE for one in shard.every), "the last one is never ejected"
        chosen = shard.replicas.choose()
        assert chosen is not None
        assert chosen.standing == min(one.standing for one in shard.every)
        second = shard.replicas.choose([chosen])
        assert second is not None
        assert second is not chosen
        hedge = shard.replicas.choose([chosen], worst=Standing.GOOD)
        assert hedge is None or hedge.standing is Standing.GOOD


async def test_out_for_longer_each_time_and_back_on_trial() -> None:
    shard = Shard(2)
    shard.fail(0, times=2)
    shard.answer(0, 0.001)
    shard.fail(0, times=2)
    assert shard.chosen() == {0, 1}, "in a row"
    shard.fail(0)
    assert shard.chosen() == {1}
    shard.clients[0].ready = False
    waits = []
    for _ in range(6):
        started = shard.now
        while not await shard.look():
            shard.now += 0.25
        waits.append(shard.now - started)
    assert waits == [1, 2, 4, 8, 8, 8]
    shard.clients[0].ready = True
    shard.now += 8
    assert await shard.look() == [0]
    assert shard.chosen() == {0, 1}
    shard.fail(0)
    assert shard.chosen() == {1}, "on trial: one failure is enough"
    shard.now += 7.9
    assert await shard.look() == [], "and it is out for as long as before"
    shard.now += 0.1
    assert await shard.look() == [0]
    shard.answer(0, 0.001)
    shard.now += 60
    shard.fail(0, times=3)
    shard.now += 1
    assert await shard.look() == [0], "it had served for longer than it was out"


def test_half_of_the_calls_failing_ejects() -> None:
    shard = Shard(2)
    for _ in range(8):
        shard.answer(0, 0.001)
        shard.fail(0)
    assert shard.chosen() == {1}


def test_far_slower_than_its_sibling_ejects() -> None:
    shard = Shard(2)
    shard.answer(1, 0.010, times=30)
    shard.answer(0, 0.035, times=30)
    assert shard.chosen() == {0, 1}
    shard.answer(0, 0.100, times=30)
    assert shard.chosen() == {1}
    alone = Shard(1)
    alone.answer(0, 9.0, times=50)
    alone.fail(0, times=50)
    assert alone.chosen() == {0}


@given(st.floats(0, 1), st.integers(0, 20), st.lists(st.booleans(), max_size=300))
def test_never_more_hedges_than_the_share_and_the_burst(share: float, burst: int, wishes: list[bool]) -> None:
    budget = HedgeBudget(share, burst)
    calls = hedges = 0
    for hedge in wishes:
        if hedge:
            hedges += budget.spend()
        else:
            calls += 1
            budget.called()
        assert hedges <= share * calls + burst + 1e-6


def test_the_budget_is_spent_in_full() -> None:
    budget = HedgeBudget(0.05, 10)
    hedges = 0
    for _ in range(1_000):
        budget.called()
        hedges += budget.spend()
    assert 50 <= hedges <= 60
    assert not HedgeBudget(0, 10).spend()


def test_the_quantile_is_of_what_came_of_late() -> None:
    quantile = MovingQuantile(0.95)
    assert quantile.value is None
    for value in np.random.default_rng(3).permutation(1_000):
        quantile.add(float(value))
    assert quantile.value == pytest.approx(950, abs=40)
    for _ in range(256):
        quantile.add(5.0)
    assert quantile.value == 5.0


async def test_a_replica_that_stays_behind_is_stale_until_it_has_caught_up() -> None:
    shard = Shard(2)
    first, second = shard.every
    for seconds in range(20):
        shard.now += 1
        assert not shard.replicas.saw(first, seconds * 100, shard.now)
        stale = shard.replicas.saw(second, min(seconds, 3) * 100, shard.now)
        # What it lacks was there in second 4, and five seconds are its due.
        assert not (stale and seconds < 9)
        assert stale or seconds < 10
    assert stale
    assert shard.chosen() == {0}
    shard.clients[0].connected = False
    assert shard.chosen() == {1}, "a stale answer is better than none"
    shard.clients[0].connected = True
    shard.clients[1].offset = 2_000
    shard.now += 1
    assert await shard.look() == [1]
    assert shard.chosen() == {0, 1}


@given(st.lists(st.tuples(st.floats(0.01, 3), st.integers(0, 500)), min_size=1, max_size=60))
def test_replicas_that_keep_up_are_never_stale(steps: list[tuple[float, int]]) -> None:
    """Asked at any intervals: each applies within four seconds what there is."""
    watermark = Watermark(records=0, seconds=5.0)
    now, written = 0.0, 0
    history = [(0.0, 0)]
    for number, (pause, more) in enumerate(steps):
        now += pause
        written += more
        history.append((now, written))
        late = max(total for at, total in history if at <= max(0.0, now - 4.0))
        assert not watermark.saw(written if number % 2 else late, now)


def test_a_log_that_begins_anew_makes_nobody_stale_for_ever() -> None:
    shard = Shard(2)
    for _ in range(10):
        shard.now += 1
        for replica in shard.every:
            assert not shard.replicas.saw(replica, 5_000, shard.now)
    shard.now += 1
    shard.replicas.saw(shard.every[0], 7, shard.now)
    shard.replicas.saw(shard.every[1], 7, shard.now)
    shard.now += 1
    assert not shard.replicas.saw(shard.every[0], 8, shard.now)
    assert not shard.replicas.saw(shard.every[1], 8, shard.now)

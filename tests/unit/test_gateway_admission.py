"""Too much at once: a bounded queue, a bounded wait, fair shares, and nothing kept by those who have gone."""

import asyncio
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.errors import OmmaError, OutOfTime, Overloaded
from omma.identity import Tenant
from omma.rpc.deadline import Deadline
from services.gateway.search.admission import Admission
from services.gateway.search.concurrency import Concurrency
from services.gateway.sharing.shares import Shares
from tests.unit.stepped_loop import run, step, stepped_loop, turns

ANN, BOB = Tenant("ann"), Tenant("bob")


class Searches:
    """Searches that last until they are told to end."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.begun: list[int] = []
        self.running: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.most = 0

    def arrive(self, number: int, tenant: Tenant = ANN, seconds: float = 1e6) -> None:
        self.tasks[number] = asyncio.create_task(self._one(number, tenant, seconds))

    async def _one(self, number: int, tenant: Tenant, seconds: float) -> None:
        async with self.admission.admitted(tenant, Deadline.after(seconds, asyncio.get_running_loop().time)):
            self.begun.append(number)
            ended = self.running[number] = asyncio.Event()
            self.most = max(self.most, len(self.running))
            try:
                await ended.wait()
            finally:
                del self.running[number]

    async def end(self, *numbers: int) -> None:
        for number in numbers:
            self.running[number].set()
        await turns()

    async def end_all(self) -> None:
        while self.running:
            await self.end(*self.running)

    def error(self, number: int) -> BaseException | None:
        task = self.tasks[number]
        return None if not task.done() or task.cancelled() else task.exception()


def searches(max_running: int, max_waiting: int, max_wait_seconds: float = 30.0, **options: object) -> Searches:
    clock = asyncio.get_running_loop().time
    return Searches(Admission(max_running, max_waiting, max_wait_seconds, clock=clock, **options))  # type: ignore[arg-type]


def test_first_come_first_served_and_one_too_many_is_refused() -> None:
    async def scenario() -> None:
        some = searches(2, 2)
        for number in range(5):
            some.arrive(number)
        await turns()
        assert some.begun == [0, 1]
        refused = some.error(4)
        assert isinstance(refused, Overloaded)
        assert refused.retry_after_seconds == 1.0
        await some.end_all()
        assert some.begun == [0, 1, 2, 3]

    run(scenario())


def test_who_waits_too_long_is_refused() -> None:
    async def scenario() -> None:
        some = searches(1, 9, 0.5)
        some.arrive(0)
        some.arrive(1)
        await turns()
        await step(0.6)
        assert isinstance(some.error(1), Overloaded)
        await some.end(0)
        some.arrive(2)
        await turns()
        assert some.begun == [0, 2]
        await some.end_all()

    run(scenario())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from([ANN, BOB]), st.sampled_from([0.2, 0.9, 50.0])),
        st.tuples(st.just("cancel"), st.integers(0, 60), st.just(0.0)),
        st.tuples(st.just("end"), st.integers(0, 60), st.just(0.0)),
        # The same turn of the loop: a place is given away while the one who would get it gives up.
        st.tuples(st.just("end and cancel"), st.integers(0, 60), st.integers(0, 60)),
        st.tuples(st.just("end and time out"), st.integers(0, 60), st.just(0.0)),
        st.tuples(st.just("time"), st.sampled_from([0.1, 0.3, 0.6]), st.just(0.0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(1, 4), st.integers(0, 6), st.sampled_from([1.0, 0.5]))
def test_whatever_comes_goes_and_gives_up_the_count_holds(
    steps: list[tuple[str, object, object]], limit: int, max_waiting: int, share: float
) -> None:
    async def scenario() -> None:
        some = searches(limit, max_waiting, 0.5, shares=Shares(share))
        tenants: dict[int, Tenant] = {}

        def picked(among: object, at: object) -> int | None:
            numbers = list(among)  # type: ignore[call-overload]
            return numbers[int(at) % len(numbers)] if numbers else None  # type: ignore[call-overload]

        for what, first, second in steps:
            if what == "arrive":
                number = len(tenants)
                tenants[number] = first  # type: ignore[assignment]
                some.arrive(number, first, second)  # type: ignore[arg-type]
            elif what == "time":
                stepped_loop().now_seconds += first  # type: ignore[operator]
            if what.startswith("end") and (ended := picked(some.running, first)) is not None:
                some.running[ended].set()
            if what.endswith("time out"):
                stepped_loop().now_seconds += 0.6
            if "cancel" in what:
                at = first if what == "cancel" else second
                if (gone := picked([one for one, task in some.tasks.items() if not task.done()], at)) is not None:
                    some.tasks[gone].cancel()
            await turns()
            assert some.most <= limit
            assert some.admission.running == len(some.running) <= limit
            assert some.admission.waiting <= max_waiting
            waits = sum(not task.done() for task in some.tasks.values()) - len(some.running)
            assert some.admission.waiting == waits
            of = Counter(tenants[one] for one in some.running)
            assert all(count <= Shares(share).most(tenant, limit) for tenant, count in of.items())
            if waits and share == 1.0:
                assert len(some.running) == limit, "a place is free and somebody waits"
        await some.end_all()
        assert all(task.done() for task in some.tasks.values()), "a waiter was lost"
        assert (some.admission.running, some.admission.waiting) == (0, 0)
        assert all(isinstance(some.error(one), OmmaError | None) for one in some.tasks)
        began = defaultdict(list)
        for one in some.begun:
            began[tenants[one]].append(one)
        assert all(numbers == sorted(numbers) for numbers in began.values()), "not first come, first served"
        for number in range(1_000, 1_000 + limit):
            some.arrive(number, Tenant(str(number)))
        await turns()
        assert len(some.running) == limit, "a place is lost"
        await some.end_all()

    run(scenario())


def test_a_tenant_takes_neither_every_place_nor_every_turn() -> None:
    async def scenario() -> None:
        some = searches(4, 8, shares=Shares(0.75))
        for number in range(20):
            some.arrive(number, ANN)
        await turns()
        assert len(some.running) == 3
        some.arrive(100, BOB)
        some.arrive(101, BOB)
        await turns()
        assert 100 in some.running
        assert some.error(101) is None, "the longest queue makes room"
        assert sum(isinstance(some.error(one), Overloaded) for one in range(20)) == 10
        await some.end(0)
        assert 101 in some.running
        await some.end_all()

    run(scenario())


def test_a_heavier_tenant_has_more_of_the_turns() -> None:
    async def scenario() -> None:
        some = searches(4, 40, shares=Shares(1.0, {"bob": 3.0}))
        for number in range(4):
            some.arrive(number)
        for number in range(12):
            some.arrive(100 + number, ANN)
            some.arrive(200 + number, BOB)
        await turns()
        await some.end(0, 1, 2, 3)
        assert sorted(one // 100 for one in some.running) == [1, 2, 2, 2]
        await some.end_all()

    run(scenario())


def test_what_cannot_be_answered_in_time_is_refused_at_once() -> None:
    async def scenario() -> None:
        some = searches(2, 100, 30.0, slow_seconds=10.0)
        for number in range(16):  # from which it learns that one takes a second
            some.arrive(number)
        for _ in range(8):
            await turns()
            stepped_loop().now_seconds += 1.0
            await some.end(*some.running)
        some.arrive(20, seconds=1e6)
        some.arrive(21, seconds=1e6)
        await turns()
        for number in range(22, 32):
            some.arrive(number, seconds=3.0)
        await turns()
        refused = [one for one in range(22, 32) if some.error(one) is not None]
        assert all(isinstance(some.error(one), Overloaded) for one in refused)
        assert refused == list(range(26, 32)), "two a second: the fifth begins too late to end within three seconds"
        assert some.error(31).retry_after_seconds > 2.0  # type: ignore[union-attr]
        await step(2.1)  # none ended: what waits would be late too
        assert all(isinstance(some.error(one), Overloaded) for one in range(22, 26))
        await some.end_all()

    run(scenario())


async def test_a_place_that_is_free_is_given_to_the_most_hurried() -> None:
    admission = Admission(2, slow_seconds=0.5)
    for _ in range(64):
        admission._concurrency.ended(5.0, 1)
    async with admission.admitted(ANN, Deadline.after(0.5)):
        pass
    with pytest.raises(OutOfTime):
        async with admission.admitted(ANN, Deadline.after(-1)):
            pass


def served(limit: Concurrency, rate: float, clients: int, alone: float = 0.0, rounds: int = 300) -> float:
    """Closed clients against a machine that ends `rate` searches a second, however many it runs."""
    for _ in range(rounds):
        at_once = min(clients, limit.limit)
        limit.ended(max(alone, at_once / rate), at_once)
    return max(alone, min(clients, limit.limit) / rate)


def test_a_crowded_machine_runs_fewer_at_once() -> None:
    limit = Concurrency(128, 0.5)
    assert served(limit, rate=15, clients=60) < 0.7
    assert limit.limit >= 6, "enough for every core to have work"
    assert served(limit, rate=150, clients=60, rounds=4_000) == 60 / 150, "it is faster now, and all may run again"


def test_what_is_slow_by_itself_does_not_run_one_at_a_time() -> None:
    limit = Concurrency(128, 0.5)
    assert served(limit, rate=1e9, clients=60, alone=1.2, rounds=8_000) == 1.2
    assert limit.limit >= 60


def test_a_part_that_hangs_does_not_hold_up_what_does_without_it() -> None:
    limit = Concurrency(128, 0.5)
    for turn in range(1_000):
        limit.ended(1.5 if turn % 3 else 0.02, 40, in_time=turn % 3 == 0)
    assert limit.limit == 128

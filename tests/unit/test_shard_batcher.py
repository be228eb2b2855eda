"""Micro-batching: everyone gets their own answer, nobody waits without need, nothing grows without bound."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.errors import InvalidQuery, OutOfTime, Overloaded
from omma.rpc.deadline import Deadline
from services.nn_shard.batcher import Batcher


class Engine:
    """Answers (options, query); `busy` keeps every call until it is set."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.started = threading.Event()
        self.busy = threading.Event()
        self.busy.set()

    def __call__(self, options: str, queries: Sequence[int], deadline: Deadline) -> list[tuple[str, int]]:
        self.batches.append((options, list(queries)))
        self.started.set()
        self.busy.wait(5)
        if options == "bad":
            raise InvalidQuery("no", field="k")
        return [(options, query) for query in queries]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def batcher(
    engine: Engine, executor: ThreadPoolExecutor, inline_seconds: float = 0, **sizes: int
) -> Batcher[str, int, tuple[str, int]]:
    sizes = {"workers": 1, "max_batch": 4, "max_waiting": 100, **sizes}
    return Batcher(engine, executor, inline_seconds=inline_seconds, **sizes)


@settings(max_examples=50, deadline=None)
@given(
    queries=st.lists(st.tuples(st.sampled_from(["a", "b", "bad"]), st.integers(), st.sampled_from([5.0, 60.0]))),
    workers=st.integers(1, 2),
)
def test_each_query_gets_its_own_answer(queries: list[tuple[str, int, float]], workers: int) -> None:
    async def run() -> tuple[Engine, list[object]]:
        engine = Engine()
        with ThreadPoolExecutor(2) as executor:
            batch = batcher(engine, executor, workers=workers)
            calls = [batch.submit(options, query, Deadline.after(left)) for options, query, left in queries]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert batch.waiting == 0
        return engine, answers

    engine, answers = asyncio.run(run())
    for (options, query, _), answer in zip(queries, answers, strict=True):
        if options == "bad":
            assert isinstance(answer, InvalidQuery)
        else:
            assert answer == (options, query)
    assert all(len(batch) <= 4 for _, batch in engine.batches)


async def test_queries_of_one_turn_share_a_call(executor: ThreadPoolExecutor) -> None:
    engine = Engine()
    batch = batcher(engine, executor)
    await asyncio.gather(*(batch.submit("a", query, Deadline.after(5)) for query in range(4)))
    assert engine.batches == [("a", [0, 1, 2, 3])]


async def test_while_busy_queries_gather_and_groups_take_turns(executor: ThreadPoolExecutor) -> None:
    engine = Engine()
    batch = batcher(engine, executor)
    engine.busy.clear()
    first = asyncio.create_task(batch.submit("a", 0, Deadline.after(5)))
    await asyncio.to_thread(engine.started.wait, 5)
    rest = [asyncio.create_task(batch.submit("a", query, Deadline.after(5))) for query in range(1, 7)]
    other = asyncio.create_task(batch.submit("b", 7, Deadline.after(5)))
    await asyncio.sleep(0)
    assert batch.waiting == 7
    engine.busy.set()
    await asyncio.gather(first, *rest, other)
    assert engine.batches == [("a", [0]), ("a", [1, 2, 3, 4]), ("b", [7]), ("a", [5, 6])]


async def test_one_more_than_may_wait_is_refused(executor: ThreadPoolExecutor) -> None:
    engine = Engine()
    batch = batcher(engine, executor, max_waiting=2)
    waiting = [asyncio.create_task(batch.submit("a", query, Deadline.after(5))) for query in range(3)]
    with pytest.raises(Overloaded) as refused:
        await waiting[2]
    assert refused.value.limit == 2
    assert await waiting[0] == ("a", 0)
    assert await waiting[1] == ("a", 1)


async def test_a_query_whose_time_runs_out_is_told_so_and_not_run(executor: ThreadPoolExecutor) -> None:
    engine = Engine()
    batch = batcher(engine, executor)
    engine.busy.clear()
    first = asyncio.create_task(batch.submit("a", 0, Deadline.after(5)))
    await asyncio.to_thread(engine.started.wait, 5)
    with pytest.raises(OutOfTime):
        await batch.submit("a", 1, Deadline.after(0.01))
    engine.busy.set()
    await first
    assert await batch.submit("a", 2, Deadline.after(5)) == ("a", 2)
    assert engine.batches == [("a", [0]), ("a", [2])]


async def test_a_cancelled_query_is_not_run(executor: ThreadPoolExecutor) -> None:
    engine = Engine()
    batch = batcher(engine, executor)
    engine.busy.clear()
    first = asyncio.create_task(batch.submit("a", 0, Deadline.after(5)))
    await asyncio.to_thread(engine.started.wait, 5)
    gone = asyncio.create_task(batch.submit("a", 1, Deadline.after(5)))
    await asyncio.sleep(0)
    gone.cancel()
    engine.busy.set()
    await first
    assert await batch.submit("a", 2, Deadline.after(5)) == ("a", 2)
    assert [1] not in [queries for _, queries in engine.batches]


async def test_a_hurried_query_does_not_cut_the_time_of_a_patient_one(executor: ThreadPoolExecutor) -> None:
    left: dict[int, float] = {}

    def run(options: str, queries: Sequence[int], deadline: Deadline) -> list[int]:
        left.update(dict.fromkeys(queries, deadline.remaining_seconds()))
        return list(queries)

    batch: Batcher[str, int, int] = Batcher(run, executor, workers=1, max_batch=8, max_waiting=8, inline_seconds=0)
    await asyncio.gather(*(batch.submit("a", seconds, Deadline.after(seconds)) for seconds in (2, 100, 3, 90)))
    assert left[2] <= 2
    assert left[3] <= 2
    assert 80 < left[90] <= 90
    assert 80 < left[100] <= 90


class Steps:
    """A clock that a call moves on by what it costs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads: list[int] = []

    def run(self, cost: float, queries: Sequence[int], deadline: Deadline) -> list[int]:
        self.now += cost * len(queries)
        self.threads.append(threading.get_ident())
        return list(queries)

    def batcher(self, executor: ThreadPoolExecutor) -> Batcher[float, int, int]:
        return Batcher(
            self.run,
            executor,
            workers=1,
            max_batch=4,
            max_waiting=100,
            inline_seconds=0.01,
            clock=lambda: self.now,
        )


async def test_a_short_call_runs_on_the_loop_once_it_is_known_and_a_long_one_never(
    executor: ThreadPoolExecutor,
) -> None:
    steps, loop_thread = Steps(), threading.get_ident()
    batch = steps.batcher(executor)
    for cost in (0.001, 0.02):
        for _ in range(3):
            await batch.submit(cost, 1, Deadline.after(60))
    assert [thread == loop_thread for thread in steps.threads] == [False, True, True, False, False, False]
    # Four at once would hold the loop for too long.
    await batch.submit(0.004, 1, Deadline.after(60))
    await asyncio.gather(*(batch.submit(0.004, query, Deadline.after(60)) for query in range(4)))
    assert steps.threads[-1] != loop_thread


async def test_short_calls_of_many_kinds_let_the_loop_breathe(executor: ThreadPoolExecutor) -> None:
    steps = Steps()
    batch = steps.batcher(executor)
    kinds = [0.004 + kind / 1e6 for kind in range(20)]
    for kind in kinds:
        await batch.submit(kind, 1, Deadline.after(60))
    calls = [asyncio.create_task(batch.submit(kind, 1, Deadline.after(60))) for kind in kinds]
    turns: list[float] = []
    while not all(call.done() for call in calls):
        turns.append(steps.now)
        await asyncio.sleep(0)
    held = [after - before for before, after in itertools.pairwise(turns)]
    assert max(held) < 2 * 0.01


async def test_an_error_on_the_loop_is_the_callers(executor: ThreadPoolExecutor) -> None:
    engine = Engine()
    batch = batcher(engine, executor, inline_seconds=1)
    for _ in range(2):
        with pytest.raises(InvalidQuery):
            await batch.submit("bad", 1, Deadline.after(60))
    assert batch.waiting == 0

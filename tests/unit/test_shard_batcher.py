"""Micro-batching: everyone gets their own answer, nobody waits without need, nothing grows without bound."""

import asyncio
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


def batcher(engine: Engine, executor: ThreadPoolExecutor, **sizes: int) -> Batcher[str, int, tuple[str, int]]:
    return Batcher(engine, executor, **{"workers": 1, "max_batch": 4, "max_waiting": 100, **sizes})


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

    batch: Batcher[str, int, int] = Batcher(run, executor, workers=1, max_batch=8, max_waiting=8)
    await asyncio.gather(*(batch.submit("a", seconds, Deadline.after(seconds)) for seconds in (2, 100, 3, 90)))
    assert left[2] <= 2
    assert left[3] <= 2
    assert 80 < left[90] <= 90
    assert 80 < left[100] <= 90

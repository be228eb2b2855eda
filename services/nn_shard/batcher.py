"""Micro-batching: concurrent queries with equal options share one engine call. A lone query never waits for company."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

from omma.errors import OutOfTime, Overloaded
from omma.rpc.deadline import Deadline
from services.nn_shard.pace import Pace

Options = TypeVar("Options")
Query = TypeVar("Query")
Answer = TypeVar("Answer")


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Query, Answer]):
    query: Query
    deadline: Deadline
    answer: asyncio.Future[Answer]
    timer: asyncio.TimerHandle


class Batcher(Generic[Options, Query, Answer]):
    """Runs `run(options, queries, deadline)` on an executor, at most `workers` calls at a time, or at once on the loop.

    A call that should take less than inline_seconds, by what calls with its options took of late, runs on the loop:
    each of FAISS's ten calls in a search gives the interpreter away, and fighting the loop for it costs more than
    the search (8 clients: 1,120 queries a second by executor, 1,700 on the loop). A longer one never holds the loop.

    While a worker is free a query starts in the same turn of the loop, together with what else arrived in it; while all
    are busy, queries gather, and the next free worker takes up to max_batch of the group that has waited longest.
    Queries whose deadlines differ by more than a factor of two run apart, so that a hurried one cuts nobody's answer.
    Belongs to one event loop.
    """

    def __init__(
        self,
        run: Callable[[Options, Sequence[Query], Deadline], Sequence[Answer]],
        executor: Executor,
        *,
        workers: int,
        max_batch: int,
        max_waiting: int,
        inline_seconds: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """run: blocks; gives one answer a query, in order; what it raises is every one's answer.

        inline_seconds: that the loop may be held at a time; 0: never.
        """
        self._run = run
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._free = workers
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._groups: dict[Options, deque[_Waiting[Query, Answer]]] = {}
        self._waiting = 0
        self._dispatch_is_due = False
        self._inline_seconds = inline_seconds
        self._clock = clock
        self._pace = Pace()

    @property
    def waiting(self) -> int:
        """Queries that no worker has taken yet."""
        return self._waiting

    async def submit(self, options: Options, query: Query, deadline: Deadline) -> Answer:
        """options: hashable. Raises Overloaded when max_waiting queries wait, OutOfTime at the deadline."""
        left = deadline.require()
        if self._waiting >= self._max_waiting:
            raise Overloaded(
                f"{self._waiting} queries wait for this shard; send less at once.",
                limit=self._max_waiting,
                retry_after_seconds=0.1,
            )
        answer: asyncio.Future[Answer] = self._loop.create_future()
        waiting = _Waiting(query, deadline, answer, self._loop.call_later(left, _expire, answer))
        self._groups.setdefault(options, deque()).append(waiting)
        self._waiting += 1
        self._dispatch_soon()
        try:
            return await answer
        finally:
            waiting.timer.cancel()

    def _dispatch_soon(self) -> None:
        if not self._dispatch_is_due:
            self._dispatch_is_due = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_is_due = False
        until = self._clock() + self._inline_seconds
        for options in list(self._groups):
            if self._is_short(options):
                if self._clock() > until:
                    # The loop's other work has its turn first.
                    self._dispatch_soon()
                    return
                self._run_here(options, self._take(options))
            elif self._free:
                batch = self._take(options)
                if batch:
                    self._free -= 1
                    self._executor.submit(self._work, options, batch)
        if self._groups and (self._free or any(map(self._is_short, self._groups))):
            self._dispatch_soon()

    def _is_short(self, options: Options) -> bool:
        queries = min(len(self._groups[options]), self._max_batch)
        return self._pace.expected(options, queries) < self._inline_seconds

    def _take(self, options: Options) -> list[_Waiting[Query, Answer]]:
        group = self._groups.pop(options)
        batch: list[_Waiting[Query, Answer]] = []
        apart: deque[_Waiting[Query, Answer]] = deque()
        left = 0.0
        while group and len(batch) < self._max_batch:
            one = group.popleft()
            self._waiting -= 1
            if one.answer.done():
                continue
            own = one.deadline.remaining_seconds()
            left = left or own
            if left <= 2 * own <= 4 * left:
                batch.append(one)
            else:
                apart.append(one)
        self._waiting += len(apart)
        group.extendleft(reversed(apart))
        if group:
            # At the end: a crowded group takes its turn with the others.
            self._groups[options] = group
        return batch

    def _run_here(self, options: Options, batch: list[_Waiting[Query, Answer]]) -> None:
        if batch:
            self._tell(options, batch, *self._timed(options, batch))

    def _work(self, options: Options, batch: list[_Waiting[Query, Answer]]) -> None:
        self._loop.call_soon_threadsafe(self._finish, options, batch, *self._timed(options, batch))

    def _timed(
        self, options: Options, batch: list[_Waiting[Query, Answer]]
    ) -> tuple[Sequence[Answer] | BaseException, float]:
        """The answers, or what is every one's answer, and the seconds that it took."""
        started = self._clock()
        outcome: Sequence[Answer] | BaseException
        try:
            hurried = min((one.deadline for one in batch), key=Deadline.remaining_seconds)
            outcome = self._run(options, [one.query for one in batch], hurried)
        except BaseException as error:  # noqa: BLE001  the callers' to handle: this thread has nobody to tell
            outcome = error
        return outcome, self._clock() - started

    def _finish(
        self,
        options: Options,
        batch: list[_Waiting[Query, Answer]],
        outcome: Sequence[Answer] | BaseException,
        seconds: float,
    ) -> None:
        self._free += 1
        self._tell(options, batch, outcome, seconds)
        self._dispatch()

    def _tell(
        self,
        options: Options,
        batch: list[_Waiting[Query, Answer]],
        outcome: Sequence[Answer] | BaseException,
        seconds: float,
    ) -> None:
        self._pace.took(options, len(batch), seconds)
        if isinstance(outcome, BaseException):
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(outcome)
            return
        for one, answer in zip(batch, outcome, strict=True):
            if not one.answer.done():
                one.answer.set_result(answer)


def _expire(answer: asyncio.Future[Answer]) -> None:
    if not answer.done():
        answer.set_exception(OutOfTime("The deadline passed while the query waited for the engine."))

"""Micro-batching: concurrent queries with equal options share one engine call. A lone query never waits for company."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

from omma.errors import OutOfTime, Overloaded
from omma.rpc.deadline import Deadline

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
    """Runs `run(options, queries, deadline)` on an executor, at most `workers` calls at a time.

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
    ) -> None:
        """run: blocks; gives one answer a query, in order; what it raises is every one's answer."""
        self._run = run
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._free = workers
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._groups: dict[Options, deque[_Waiting[Query, Answer]]] = {}
        self._waiting = 0
        self._dispatch_is_due = False

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
        if self._free and not self._dispatch_is_due:
            self._dispatch_is_due = True
            self._loop.call_soon(self._dispatch)
        try:
            return await answer
        finally:
            waiting.timer.cancel()

    def _dispatch(self) -> None:
        self._dispatch_is_due = False
        while self._free and self._groups:
            options = next(iter(self._groups))
            batch = self._take(options)
            if batch:
                self._free -= 1
                self._executor.submit(self._work, options, batch)

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

    def _work(self, options: Options, batch: list[_Waiting[Query, Answer]]) -> None:
        try:
            hurried = min((one.deadline for one in batch), key=Deadline.remaining_seconds)
            answers = self._run(options, [one.query for one in batch], hurried)
        except BaseException as error:  # noqa: BLE001  the callers' to handle: this thread has nobody to tell
            self._loop.call_soon_threadsafe(self._fail, batch, error)
        else:
            self._loop.call_soon_threadsafe(self._finish, batch, answers)

    def _finish(self, batch: list[_Waiting[Query, Answer]], answers: Sequence[Answer]) -> None:
        self._free += 1
        for one, answer in zip(batch, answers, strict=True):
            if not one.answer.done():
                one.answer.set_result(answer)
        self._dispatch()

    def _fail(self, batch: list[_Waiting[Query, Answer]], error: BaseException) -> None:
        self._free += 1
        for one in batch:
            if not one.answer.done():
                one.answer.set_exception(error)
        self._dispatch()


def _expire(answer: asyncio.Future[Answer]) -> None:
    if not answer.done():
        answer.set_exception(OutOfTime("The deadline passed while the query waited for the engine."))

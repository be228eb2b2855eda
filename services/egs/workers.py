"""Threads that take waiting work earliest deadline first, several jobs at once where that pays."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Generic, NamedTuple, TypeVar

from omma.errors import OutOfTime, ReplicaDown
from omma.rpc.deadline import Deadline

Job = TypeVar("Job")
Result = TypeVar("Result")

PRESSED_SECONDS: Final = 1.0
"""After a job that somebody waits for, in which the next one is expected."""


class _Waiting(NamedTuple, Generic[Job, Result]):
    """In the order in which they are taken: what yields comes last; then deadlines, and arrivals, which all differ."""

    yields: bool
    deadline_at: float
    arrival: int
    job: Job
    deadline: Deadline
    future: "Future[Result]"


class Workers(Generic[Job, Result]):
    """A micro-batcher over named threads.

    A free thread takes what waits, up to max_batch jobs, and never lingers for more: a lone job starts at once, and
    under load batches fill while the threads are busy. A search (two seconds left) overtakes ingest (minutes left).
    Work that yields comes last, and leaves a thread free while other work comes: a run cannot be stopped for a search.
    A job whose future is cancelled is let go of at once, one whose deadline passed when its turn comes. Idle threads
    sleep.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Job]], Sequence[Result | Exception]],
        *,
        threads: int,
        max_batch: int = 1,
    ) -> None:
        """run: blocks; one answer a job, in order; an exception among them is that job's, one raised is everyone's."""
        self._run = run
        self._max_batch = max_batch
        self._waiting: list[_Waiting[Job, Result]] = []
        self._arrival = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._pressed_at = -PRESSED_SECONDS
        self._yielding = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._waiting)

    def submit(self, job: Job, deadline: Deadline, *, yields: bool = False) -> "Future[Result]":
        """The job's future answer; jobs of equal deadline run in the order of their submission.

        yields: nobody waits for it. Unbounded: who submits counts. Raises ReplicaDown after close.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise ReplicaDown("The embedder is closed.")
            if not yields:
                self._pressed_at = time.monotonic()
            heapq.heappush(
                self._waiting, _Waiting(yields, deadline.at_seconds, next(self._arrival), job, deadline, future)
            )
            self._changed.notify()
        future.add_done_callback(self._let_go)
        return future

    def close(self) -> None:
        """What waits fails with ReplicaDown, what runs ends; joins the threads. Blocks."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for one in waiting:
            if one.future.set_running_or_notify_cancel():
                one.future.set_exception(ReplicaDown("The embedder is closing."))
        for thread in self._threads:
            thread.join()

    def _let_go(self, done: "Future[Result]") -> None:
        """Of a job whose caller has gone: a picture's bytes must not wait for a turn that may be minutes away."""
        if not done.cancelled():
            return
        with self._changed:
            self._waiting = [one for one in self._waiting if one.future is not done]
            heapq.heapify(self._waiting)

    def _work(self) -> None:
        while batch := self._take():
            yields = batch[0].yields
            try:
                answers = self._run([one.job for one in batch])
            except Exception as error:  # noqa: BLE001 - whoever waits for the answer gets it
                answers = [error] * len(batch)
            for one, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Exception):
                    one.future.set_exception(answer)
                else:
                    one.future.set_result(answer)
            del batch, one, answers, answer  # an idle thread must not keep the last picture
            if yields:
                self._yielded()

    def _take(self) -> list[_Waiting[Job, Result]]:
        """Up to max_batch jobs; empty only after close. What yields counts until `_yielded`."""
        batch: list[_Waiting[Job, Result]] = []
        with self._changed:
            while not batch and not self._closed:
                held_back = self._held_back_seconds() if self._waiting else None
                if held_back != 0.0:
                    self._changed.wait(held_back)
                    continue
                while self._waiting and len(batch) < self._max_batch:
                    one = heapq.heappop(self._waiting)
                    if not one.future.set_running_or_notify_cancel():
                        continue
                    if one.deadline.remaining_seconds() <= 0:
                        one.future.set_exception(OutOfTime("The deadline passed while the work waited."))
                        continue
                    batch.append(one)
            self._yielding += bool(batch) and batch[0].yields
        return batch

    def _held_back_seconds(self) -> float:
        """For which the next job leaves the last thread to others; 0.0: it is taken now."""
        if not self._waiting[0].yields or self._yielding < max(1, len(self._threads) - 1):
            return 0.0
        return max(0.0, self._pressed_at + PRESSED_SECONDS - time.monotonic())

    def _yielded(self) -> None:
        with self._changed:
            self._yielding -= 1
            self._changed.notify()

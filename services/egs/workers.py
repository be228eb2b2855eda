"""Threads that take waiting work earliest deadline first, several jobs at once where that pays."""

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeAlias, TypeVar

from omma.errors import OutOfTime, ReplicaDown
from omma.rpc.deadline import Deadline

Job = TypeVar("Job")
Result = TypeVar("Result")
_Waiting: TypeAlias = "tuple[float, int, Job, Deadline, Future[Result]]"


class Workers(Generic[Job, Result]):
    """A micro-batcher over named threads.

    A free thread takes what waits, up to max_batch jobs, and never lingers for more: a lone job starts at once, and
    under load batches fill while the threads are busy. A search (two seconds left) overtakes ingest (minutes left).
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
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._waiting)

    def submit(self, job: Job, deadline: Deadline) -> "Future[Result]":
        """The job's future answer; jobs of equal deadline run in the order of their submission.

        Unbounded: who submits counts. Raises ReplicaDown after close.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise ReplicaDown("The embedder is closed.")
            heapq.heappush(self._waiting, (deadline.at_seconds, next(self._arrival), job, deadline, future))
            self._changed.notify()
        future.add_done_callback(self._let_go)
        return future

    def close(self) -> None:
        """What waits fails with ReplicaDown, what runs ends; joins the threads. Blocks."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for *_, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(ReplicaDown("The embedder is closing."))
        for thread in self._threads:
            thread.join()

    def _let_go(self, done: "Future[Result]") -> None:
        """Of a job whose caller has gone: a picture's bytes must not wait for a turn that may be minutes away."""
        if not done.cancelled():
            return
        with self._changed:
            self._waiting = [one for one in self._waiting if one[-1] is not done]
            heapq.heapify(self._waiting)

    def _work(self) -> None:
        while batch := self._take():
            jobs, futures = zip(*batch, strict=True)
            try:
                answers = self._run(jobs)
            except Exception as error:  # noqa: BLE001 - whoever waits for the answer gets it
                answers = [error] * len(jobs)
            for future, answer in zip(futures, answers, strict=True):
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
            del batch, jobs, futures, answers  # an idle thread must not keep the last picture

    def _take(self) -> "list[tuple[Job, Future[Result]]]":
        """Up to max_batch jobs; empty only after close."""
        batch: list[tuple[Job, Future[Result]]] = []
        with self._changed:
            while not batch:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    break
                while self._waiting and len(batch) < self._max_batch:
                    *_, job, deadline, future = heapq.heappop(self._waiting)
                    if not future.set_running_or_notify_cancel():
                        continue
                    if deadline.remaining_seconds() <= 0:
                        future.set_exception(OutOfTime("The deadline passed while the work waited."))
                        continue
                    batch.append((job, future))
        return batch

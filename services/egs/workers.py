"""Threads that take waiting work earliest deadline first, several jobs at once where that pays."""

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from omma.errors import OutOfTime, ReplicaDown
from omma.priority import lower_thread
from omma.rpc.deadline import Deadline

Job = TypeVar("Job")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Job, Result]):
    """In the order in which they are taken: deadlines, then arrivals, which all differ."""

    deadline_at: float
    arrival: int
    job: Job
    deadline: Deadline
    future: "Future[Result]"


class Workers(Generic[Job, Result]):
    """A micro-batcher over named threads.

    A free thread takes what waits, up to max_batch jobs, and never lingers for more: a lone job starts at once, and
    under load batches fill while the threads are busy. A search (two seconds left) overtakes ingest (minutes left).
    Work that yields has threads of its own, which come after others where there are not cores enough: a run cannot be
    stopped for a search, and one that waited for all searches might never begin.
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
        """run: blocks; one answer a job, in order; an exception among them is that job's, one raised is everyone's.

        threads: beside them all but one as many again take what yields.
        """
        self._run = run
        self._max_batch = max_batch
        self._waiting: dict[bool, list[_Waiting[Job, Result]]] = {False: [], True: []}
        self._arrival = itertools.count()
        self._lock = threading.RLock()
        self._changed = {yields: threading.Condition(self._lock) for yields in (False, True)}
        self._closed = False
        self._threads = [
            *(threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(threads)),
            *(
                threading.Thread(target=self._work_after_others, name=f"{name}-yields-{number}", daemon=True)
                for number in range(max(1, threads - 1))
            ),
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Jobs that no thread has taken yet."""
        return sum(map(len, self._waiting.values()))

    def submit(self, job: Job, deadline: Deadline, *, yields: bool = False) -> "Future[Result]":
        """The job's future answer; jobs of equal deadline run in the order of their submission.

        yields: nobody waits for it. Unbounded: who submits counts. Raises ReplicaDown after close.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise ReplicaDown("The embedder is closed.")
            waiting = _Waiting(deadline.at_seconds, next(self._arrival), job, deadline, future)
            heapq.heappush(self._waiting[yields], waiting)
            self._changed[yields].notify()
        future.add_done_callback(self._let_go)
        return future

    def close(self) -> None:
        """What waits fails with ReplicaDown, what runs ends; joins the threads. Blocks."""
        with self._lock:
            self._closed = True
            left = [one for waiting in self._waiting.values() for one in waiting]
            for yields, changed in self._changed.items():
                self._waiting[yields].clear()
                changed.notify_all()
        for one in left:
            if one.future.set_running_or_notify_cancel():
                one.future.set_exception(ReplicaDown("The embedder is closing."))
        for thread in self._threads:
            thread.join()

    def _let_go(self, done: "Future[Result]") -> None:
        """Of a job whose caller has gone: a picture's bytes must not wait for a turn that may be minutes away."""
        if not done.cancelled():
            return
        with self._lock:
            for waiting in self._waiting.values():
                waiting[:] = [one for one in waiting if one.future is not done]
                heapq.heapify(waiting)

    def _work_after_others(self) -> None:
        lower_thread()
        self._work(yields=True)

    def _work(self, *, yields: bool = False) -> None:
        while batch := self._take(yields):
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

    def _take(self, yields: bool) -> list[_Waiting[Job, Result]]:
        """Up to max_batch jobs; empty only after close."""
        waiting = self._waiting[yields]
        batch: list[_Waiting[Job, Result]] = []
        with self._lock:
            while not batch and not self._closed:
                if not waiting:
                    self._changed[yields].wait()
                while waiting and len(batch) < self._max_batch:
                    one = heapq.heappop(waiting)
                    if not one.future.set_running_or_notify_cancel():
                        continue
                    if one.deadline.remaining_seconds() <= 0:
                        one.future.set_exception(OutOfTime("The deadline passed while the work waited."))
                        continue
                    batch.append(one)
        return batch

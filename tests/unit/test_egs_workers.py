"""The micro-batcher: order, batches, isolation, dropping, closing."""

import os
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import CancelledError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.errors import InvalidPicture, OutOfTime, ReplicaDown
from omma.rpc.deadline import Deadline
from services.egs.workers import Workers

SOON = Deadline.after(86_400)


class Gate:
    """A run function that a test holds shut, and that writes down what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(jobs))
        self.entered.release()
        assert self.open.wait(20)
        return [InvalidPicture("odd") if job == 13 else job * 10 for job in jobs]

    def hold(self, workers: Workers[int, int]) -> None:
        """Keep the one thread busy with job 0."""
        workers.submit(0, SOON)
        assert self.entered.acquire(timeout=20)


def test_a_lone_job_starts_without_waiting_for_company() -> None:
    gate = Gate()
    workers = Workers("t", gate, threads=1, max_batch=8)
    gate.hold(workers)
    assert gate.batches == [[0]]
    gate.open.set()
    workers.close()


def test_what_waits_becomes_one_batch_no_larger_than_the_bound() -> None:
    gate = Gate()
    workers = Workers("t", gate, threads=1, max_batch=3)
    gate.hold(workers)
    futures = [workers.submit(job, SOON) for job in (1, 2, 3, 4)]
    assert len(workers) == 4
    gate.open.set()
    assert [future.result(20) for future in futures] == [10, 20, 30, 40]
    assert gate.batches == [[0], [1, 2, 3], [4]]
    workers.close()


class Picture:
    """A job that can be seen to go."""


def test_a_job_whose_caller_went_is_let_go_of_before_its_turn() -> None:
    entered, open_ = threading.Event(), threading.Event()

    def run(jobs: Sequence[Picture]) -> list[Picture | Exception]:
        entered.set()
        assert open_.wait(20)
        return [InvalidPicture("none") for _ in jobs]

    workers = Workers("t", run, threads=1)
    running = workers.submit(Picture(), SOON)
    assert entered.wait(20)
    waiting = [Picture() for _ in range(9)]
    seen = [weakref.ref(one) for one in waiting]
    futures = [workers.submit(one, SOON) for one in waiting]
    waiting.clear()
    for future in futures[::2]:
        assert future.cancel()
    assert [one() is None for one in seen] == [True, False] * 4 + [True]
    assert len(workers) == 4
    open_.set()
    for future in [running, *futures[1::2]]:
        assert isinstance(future.exception(20), InvalidPicture)
    workers.close()


def test_the_earliest_deadline_overtakes() -> None:
    gate = Gate()
    workers = Workers("t", gate, threads=1)
    gate.hold(workers)
    futures = [workers.submit(job, Deadline.after(100 - job)) for job in (1, 5, 3)]
    gate.open.set()
    for future in futures:
        future.result(20)
    assert gate.batches == [[0], [5], [3], [1]]
    workers.close()


def test_one_jobs_fault_is_its_own() -> None:
    gate = Gate()
    workers = Workers("t", gate, threads=1, max_batch=8)
    gate.hold(workers)
    good, bad, other = (workers.submit(job, SOON) for job in (12, 13, 14))
    gate.open.set()
    assert (good.result(20), other.result(20)) == (120, 140)
    assert isinstance(bad.exception(20), InvalidPicture)
    assert gate.batches[1] == [12, 13, 14]
    workers.close()


def test_what_run_raises_is_everyones_answer_and_the_thread_lives() -> None:
    def run(jobs: Sequence[int]) -> list[int | Exception]:
        if 13 in jobs:
            raise MemoryError("no room")
        return list(jobs)

    workers: Workers[int, int] = Workers("t", run, threads=1)
    assert isinstance(workers.submit(13, SOON).exception(20), MemoryError)
    assert workers.submit(1, SOON).result(20) == 1
    workers.close()


def test_cancelled_and_expired_jobs_never_run() -> None:
    gate = Gate()
    workers = Workers("t", gate, threads=1, max_batch=8)
    gate.hold(workers)
    cancelled = workers.submit(1, SOON)
    clock = [0.0]
    expired = workers.submit(2, Deadline.after(5, now=lambda: clock[0]))
    kept = workers.submit(3, SOON)
    assert cancelled.cancel()
    clock[0] = 6.0
    gate.open.set()
    assert kept.result(20) == 30
    assert isinstance(expired.exception(20), OutOfTime)
    with pytest.raises(CancelledError):
        cancelled.result(0)
    assert gate.batches == [[0], [3]]
    workers.close()


def test_close_fails_what_waits_and_joins_the_threads() -> None:
    gate = Gate()
    workers = Workers("egs-test", gate, threads=1)
    gate.hold(workers)
    waiting = workers.submit(1, SOON)
    closing = threading.Thread(target=workers.close)
    closing.start()
    assert isinstance(waiting.exception(20), ReplicaDown)
    gate.open.set()
    closing.join(20)
    assert gate.batches == [[0]]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("egs-test")]
    with pytest.raises(ReplicaDown):
        workers.submit(2, SOON)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 4), st.integers(1, 7))
def test_every_job_is_answered_once_with_its_own_answer(jobs: list[int], threads: int, max_batch: int) -> None:
    sizes: list[int] = []

    def run(batch: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(batch))
        return [InvalidPicture(str(job)) if job == 13 else job * 10 for job in batch]

    workers: Workers[int, int] = Workers("t", run, threads=threads, max_batch=max_batch)
    futures = [workers.submit(job, SOON) for job in jobs]
    for job, future in zip(jobs, futures, strict=True):
        if job == 13:
            assert isinstance(future.exception(20), InvalidPicture)
        else:
            assert future.result(20) == job * 10
    workers.close()
    assert sum(sizes) == len(jobs)
    assert max(sizes, default=0) <= max_batch


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no niceness of its own")
def test_what_yields_has_threads_of_its_own_that_come_after_others() -> None:
    def run(jobs: Sequence[str]) -> list[int | Exception]:
        return [os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) for _ in jobs]

    workers: Workers[str, int] = Workers("t", run, threads=2)
    awaited = workers.submit("search", SOON).result(20)
    assert awaited == os.getpriority(os.PRIO_PROCESS, 0)
    assert workers.submit("backfill", SOON, yields=True).result(20) == min(19, awaited + 10)
    workers.close()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_search_finds_a_thread_however_much_yields_and_the_other_way_round(threads: int) -> None:
    held = [threading.Event(), threading.Event()]
    begun: list[int] = []
    entered = threading.Semaphore(0)

    def run(jobs: Sequence[int]) -> list[int | Exception]:
        begun.extend(jobs)
        entered.release()
        assert held[jobs[0] >= 100].wait(20)
        return list(jobs)

    workers = Workers("t", run, threads=threads)
    later = [workers.submit(job, SOON, yields=True) for job in range(9)]
    for _ in range(max(1, threads - 1)):
        assert entered.acquire(timeout=20)
    held[1].set()
    assert [workers.submit(job, SOON).result(20) for job in (100, 101)] == [100, 101]
    yielding = [one for one in begun if one < 100]
    assert len(yielding) == max(1, threads - 1), "a core is left to searches"
    held[1].clear()
    searches = [workers.submit(job, SOON) for job in range(102, 111)]
    held[0].set()
    assert [future.result(20) for future in later] == list(range(9)), "while all others are busy"
    held[1].set()
    assert [future.result(20) for future in searches] == list(range(102, 111))
    workers.close()


def test_what_yields_ends_with_its_owner() -> None:
    gate = Gate()
    workers = Workers("t", gate, threads=1)
    gate.hold(workers)
    running = workers.submit(1, SOON, yields=True)
    assert gate.entered.acquire(timeout=20)
    kept = workers.submit(2, SOON, yields=True)
    assert len(workers) == 1
    closing = threading.Thread(target=workers.close)
    closing.start()
    with pytest.raises(ReplicaDown):
        kept.result(20)
    gate.open.set()
    closing.join(20)
    assert not closing.is_alive() and running.result(0) == 10

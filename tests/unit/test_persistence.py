"""The one loop of what is tried again: it ends with the first result, says why, and comes back ever more slowly."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from omma.errors import Absent, InvalidQuery, OmmaError, Overloaded, ReplicaDown, WrongState
from omma.log.interface import ProducerFenced
from omma.persistence import Pauses, keep_running, persist, until_there

QUICK = 0.001


class Failing:
    """Raises these, one a try, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0

    async def __call__(self) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def failures(what: str, kind: str) -> float:
    return REGISTRY.get_sample_value("omma_tries_failed_total", {"what": what, "kind": kind}) or 0.0


@given(st.floats(1e-3, 60), st.floats(1e-3, 600), st.integers(1, 60))
def test_pauses_grow_to_the_longest_and_are_no_longer_and_never_shorter_than_half(
    first: float, longest: float, count: int
) -> None:
    pauses = Pauses(first, longest)
    for at in range(count):
        whole = min(first * 2**at, max(first, longest))
        assert whole / 2 <= pauses.next_seconds() <= whole
    pauses.begin_again()
    assert pauses.next_seconds() <= first


async def test_a_step_is_tried_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    down = ReplicaDown("The log does not answer.")
    down.__cause__ = ConnectionRefusedError("10.0.0.7:9092")
    attempt = Failing(down, ZeroDivisionError("a bug"), TimeoutError())
    before = [failures("a step", kind) for kind in ("replica_down", "bug", "machine")]
    with caplog.at_level(logging.WARNING):
        assert await persist("a step", attempt, QUICK) == "done"
    assert attempt.tries == 4
    assert [failures("a step", kind) for kind in ("replica_down", "bug", "machine")] == [one + 1 for one in before]
    first, second, third = caplog.records
    assert first.getMessage() == "a step failed and is tried again"
    assert "10.0.0.7:9092" in first.__dict__["reason"]
    assert (first.exc_info, third.exc_info) == (None, None)
    assert second.exc_info, "a bug is logged with its traceback"


async def test_a_fenced_producer_is_not_tried_again() -> None:
    attempt = Failing(ProducerFenced("another one has the id"))
    with pytest.raises(ProducerFenced):
        await persist("a step", attempt, QUICK)
    assert attempt.tries == 1


async def test_work_that_never_ends_is_begun_anew_until_it_is_cancelled() -> None:
    tries = 0
    fifth = asyncio.Event()

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 5:
            fifth.set()
            await asyncio.Event().wait()
        if tries % 2:
            raise ReplicaDown("gone")

    running = asyncio.create_task(keep_running("work", work, QUICK, longest_wait_seconds=2 * QUICK))
    await asyncio.wait_for(fifth.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tries == 5


async def test_a_part_is_waited_for_with_a_word_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert await until_there("Kafka", Failing(ReplicaDown("away"), Absent("away"), Overloaded("busy"))) == "done"
    assert caplog.messages == ["waiting for Kafka", "Kafka is there"]


@pytest.mark.parametrize("error", [WrongState("password"), InvalidQuery("name"), OSError("no file"), ValueError("bug")])
async def test_what_waiting_does_not_mend_is_raised(error: Exception) -> None:
    attempt = Failing(error)
    with pytest.raises(type(error)):
        await until_there("Kafka", attempt)
    assert attempt.tries == 1


async def test_patience_ends() -> None:
    now = iter(range(100))
    attempt = Failing(*[ReplicaDown("away")] * 50)
    with pytest.raises(OmmaError):
        await until_there("Kafka", attempt, patience_seconds=2, clock=lambda: float(next(now)))
    assert attempt.tries == 2

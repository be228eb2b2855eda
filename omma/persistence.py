"""Trying until it works: the one loop of whatever outlives a fault of its surroundings.

`persist` is for a step that has to be done, `keep_running` for work that never ends, `until_there` for a part that a
process starts before. What failed is logged with its reason, and counted.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from omma.errors import Absent, OmmaError, OutOfTime, Overloaded, ReplicaDown, causes, unforeseen
from omma.log.interface import ProducerFenced
from omma.telemetry.metrics import TRIES_FAILED

T = TypeVar("T")

LONGEST_WAIT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5
"""Between two tries of a part that is not there yet: its return is seen within a second."""
_TELL_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class Pauses:
    """Between tries: each twice as long as the one before, up to the longest, and shortened at random by up to half,
    so that those whom one fault has stopped do not all come back at once.
    """

    def __init__(self, first_seconds: float, longest_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = max(first_seconds, longest_seconds)
        self._next_seconds = first_seconds

    def begin_again(self) -> None:
        """It worked: the next pause is a first one."""
        self._next_seconds = self._first_seconds

    def next_seconds(self) -> float:
        """How long to wait now; the next one is longer."""
        seconds = self._next_seconds
        self._next_seconds = min(2 * seconds, self._longest_seconds)
        return random.uniform(0.5, 1.0) * seconds


def _unless_fenced(error: Exception) -> bool:
    return not isinstance(error, ProducerFenced)


async def persist(
    what: str,
    attempt: Callable[[], Awaitable[T]],
    wait_seconds: float,
    *,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    passes: Callable[[Exception], bool] = _unless_fenced,
    expected: tuple[type[Exception], ...] = (),
    failed: Callable[[Exception], None] = lambda _: None,
) -> T:
    """The attempt's first result that is no error. wait_seconds: after the first failure; doubles, up to the longest.

    An attempt that lasted longer than the longest wait did something: waiting begins anew after it. what: for the log
    and the metric, from code. passes: whether another try may get past this error, which is raised otherwise; unless
    told, past anything but ProducerFenced. expected: errors that are no bug, beside Omma's and the system's. failed: is
    told of each error.
    """
    pauses = Pauses(wait_seconds, longest_wait_seconds)
    while True:
        began = time.monotonic()
        try:
            return await attempt()
        except Exception as error:
            if not passes(error):
                raise
            _failed(what, error, expected)
            failed(error)
        if time.monotonic() - began > longest_wait_seconds:
            pauses.begin_again()
        await asyncio.sleep(pauses.next_seconds())


async def keep_running(
    what: str,
    work: Callable[[], Awaitable[object]],
    wait_seconds: float,
    *,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    passes: Callable[[Exception], bool] = _unless_fenced,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run work that never ends, until cancelled; begun anew whenever it fails, or ends all the same.

    The pauses grow while it fails at once, and begin again after it has lasted as long as the longest one. The rest as
    `persist`.
    """
    pauses = Pauses(wait_seconds, longest_wait_seconds)
    while True:
        started = clock()
        try:
            await work()
        except Exception as error:
            if not passes(error):
                raise
            _failed(what, error)
        if clock() - started >= longest_wait_seconds:
            pauses.begin_again()
        await asyncio.sleep(pauses.next_seconds())


def _not_there_yet(error: Exception) -> bool:
    return isinstance(error, Absent | ReplicaDown | OutOfTime | Overloaded)


async def until_there(
    part: str,
    attempt: Callable[[], Awaitable[T]],
    *,
    passes: Callable[[Exception], bool] = _not_there_yet,
    patience_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """What the attempt gives once the part that it needs is there; twice a second, with a word to the log now and then.

    passes: whether that is what a part raises that is not there yet; anything else is raised, since waiting does not
    mend a wrong password. patience_seconds: then any error is raised; None: never.
    """
    started = clock()
    told_at = -_TELL_SECONDS
    while True:
        try:
            given = await attempt()
        except Exception as error:
            waited = clock() - started
            if not passes(error):
                raise
            if waited - told_at >= _TELL_SECONDS:
                told_at = waited
                logger.warning("waiting for %s", part, extra={"seconds": round(waited, 1), "reason": causes(error)})
            if patience_seconds is not None and waited >= patience_seconds:
                raise
        else:
            if told_at >= 0:
                logger.info("%s is there", part, extra={"seconds": round(clock() - started, 1)})
            return given
        await asyncio.sleep(random.uniform(0.5, 1.0) * _LOOK_SECONDS)


def _failed(what: str, error: Exception, expected: tuple[type[Exception], ...] = ()) -> None:
    bug = unforeseen(error, *expected)
    kind = error.kind.value if isinstance(error, OmmaError) else "machine" if bug is None else "bug"
    TRIES_FAILED.labels(what, kind).inc()
    logger.warning(
        "%s failed and is tried again",
        what,
        extra={"kind": kind, "reason": causes(error)},
        exc_info=bug,
    )

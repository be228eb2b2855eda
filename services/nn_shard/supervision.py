"""What a shard does beside answering goes on whatever fails: it is said, counted, and tried again ever more slowly."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from omma.errors import OmmaError, StorageFull
from omma.index import IndexId
from omma.persistence import persist
from omma.telemetry.metrics import SHARD_FAILURES
from services.nn_shard.lease import LeaseLost

T = TypeVar("T")

_LONGEST_WAIT_SECONDS: Final = 30.0
"""Between two tries at what fails, a full disk above all: each try at sealing writes until there is no room again."""
SOON_SECONDS: Final = 2.0
"""The same for what only waits until another server is back."""
_LEAST_WAIT_SECONDS: Final = 0.01


async def kept_going(
    part: str,
    index: IndexId,
    attempt: Callable[[], Awaitable[T]],
    wait_seconds: float,
    *,
    longest_wait_seconds: float = _LONGEST_WAIT_SECONDS,
    expected: tuple[type[Exception], ...] = (),
    failed: Callable[[str], None] = lambda _: None,
) -> T:
    """The attempt's first result that is no error. part: of the shard, for metric and log. failed: told the reason."""

    def count(error: Exception) -> None:
        reason = reason_of(error, expected)
        SHARD_FAILURES.labels(part, reason).inc()
        failed(reason)

    return await persist(
        part,
        attempt,
        max(wait_seconds, _LEAST_WAIT_SECONDS),
        longest_wait_seconds=max(longest_wait_seconds, wait_seconds),
        expected=(LeaseLost, *expected),
        failed=count,
    )


async def repeated(
    part: str,
    index: IndexId,
    attempt: Callable[[], Awaitable[object]],
    pause_seconds: float,
    *,
    longest_wait_seconds: float = _LONGEST_WAIT_SECONDS,
    expected: tuple[type[Exception], ...] = (),
    failed: Callable[[str], None] = lambda _: None,
) -> None:
    """The attempt, again and again with a pause after each, until cancelled. The rest as in kept_going."""
    while True:
        await kept_going(
            part,
            index,
            attempt,
            pause_seconds,
            longest_wait_seconds=longest_wait_seconds,
            expected=expected,
            failed=failed,
        )
        await asyncio.sleep(pause_seconds)


UNEXPECTED: Final = "unexpected"


def reason_of(error: Exception, expected: tuple[type[Exception], ...] = ()) -> str:
    """disk_full, lease_lost, unexpected (a bug), other."""
    if isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        return "disk_full"
    if isinstance(error, LeaseLost):
        return "lease_lost"
    return "other" if isinstance(error, (OmmaError, OSError, *expected)) else UNEXPECTED

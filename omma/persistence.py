"""Trying until it works: what is in the log may wait, but is never lost."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from omma.errors import OmmaError
from omma.log.interface import ProducerFenced

T = TypeVar("T")

_LONGEST_WAIT_SECONDS: Final = 10.0

logger = logging.getLogger(__name__)


async def persist(
    what: str,
    attempt: Callable[[], Awaitable[T]],
    wait_seconds: float,
    *,
    longest_wait_seconds: float = _LONGEST_WAIT_SECONDS,
    expected: tuple[type[Exception], ...] = (),
    failed: Callable[[Exception], None] = lambda _: None,
) -> T:
    """The attempt's first result that is no error. wait_seconds: after the first failure; doubles, up to the longest.

    An attempt that lasted longer than the longest wait did something: waiting begins anew after it. what: for the log,
    where an error that is neither Omma's nor expected has its traceback. failed: is told of each error.
    Raises ProducerFenced, which no other try mends.
    """
    wait = wait_seconds
    while True:
        began = time.monotonic()
        try:
            return await attempt()
        except ProducerFenced:
            raise
        except OmmaError as error:
            logger.warning("trying again", extra={"what": what, "kind": error.kind, "reason": error.detail})
            failed(error)
        except Exception as error:
            if isinstance(error, expected):
                logger.warning("trying again", extra={"what": what, "reason": repr(error)})
            else:
                logger.exception("trying again", extra={"what": what})
            failed(error)
        if time.monotonic() - began > longest_wait_seconds:
            wait = wait_seconds
        await asyncio.sleep(wait)
        wait = min(2 * wait, longest_wait_seconds)

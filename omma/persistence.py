"""Trying until it works: what is in the log may wait, but is never lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from omma.errors import OmmaError
from omma.log.interface import ProducerFenced

T = TypeVar("T")

_LONGEST_WAIT_SECONDS: Final = 10.0

logger = logging.getLogger(__name__)


async def persist(what: str, attempt: Callable[[], Awaitable[T]], wait_seconds: float) -> T:
    """The attempt's first result that is no error. wait_seconds: after the first failure; doubles, up to ten.

    what: for the log. Raises ProducerFenced, which no other try mends.
    """
    while True:
        try:
            return await attempt()
        except ProducerFenced:
            raise
        except OmmaError as error:
            logger.warning("indexer tries again", extra={"what": what, "kind": error.kind, "reason": error.detail})
        except Exception:
            logger.exception("indexer tries again", extra={"what": what})
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

"""The outbox relay: events whose sending failed, or was cut off by a crash, are sent again, and what the topic of an
older version forgot is told once more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from omma.outbox import Outbox
from omma.persistence import persist

_LOOK_SECONDS: Final = 0.5

logger = logging.getLogger(__name__)


async def relay(outbox: Outbox, every_seconds: float) -> None:
    """Until cancelled. Several may run: an event that is sent twice is handled twice, which changes nothing."""
    while True:
        # The log may be away for a while; the rows wait.
        sent = await persist("sending events again", outbox.send_unsent, every_seconds)
        if sent:
            logger.info("events were sent late", extra={"count": sent})
        await asyncio.sleep(every_seconds)


async def tell_again(
    outbox: Outbox, backlog: Callable[[], Awaitable[int]], max_backlog: int, every_seconds: float
) -> None:
    """Until all that a topic forgot is told once more, as fast as indexers handle it: while more than half of
    max_backlog events wait for them, none is added. Several may run.
    """

    async def tell_some() -> int:
        while await backlog() > max_backlog // 2:  # noqa: ASYNC110  the indexer may be elsewhere
            await asyncio.sleep(_LOOK_SECONDS)
        looked_at = await outbox.retell()
        await outbox.send_unsent()
        return looked_at

    while await persist("telling of pictures again", tell_some, every_seconds):
        pass

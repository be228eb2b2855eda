"""The outbox relay: events whose sending failed, or was cut off by a crash, are sent again; so are those that a topic
of an older version forgot, some at each look.
"""

import asyncio
import logging

from omma.outbox import Outbox
from omma.persistence import persist

logger = logging.getLogger(__name__)


async def relay(outbox: Outbox, every_seconds: float) -> None:
    """Until cancelled. Several may run: an event that is sent twice is dropped or repeated by the indexer."""
    while True:
        await persist("telling of pictures again", outbox.retell, every_seconds)
        # The log may be away for a while; the rows wait.
        sent = await persist("sending events again", outbox.send_unsent, every_seconds)
        if sent:
            logger.info("events were sent late", extra={"count": sent})
        await asyncio.sleep(every_seconds)

"""The outbox relay: events whose sending failed, or was cut off by a crash, are sent again."""

import asyncio
import logging

from omma.outbox import Outbox

logger = logging.getLogger(__name__)


async def relay(outbox: Outbox, every_seconds: float) -> None:
    """Until cancelled. Several may run: an event that is sent twice is dropped or repeated by the indexer."""
    while True:
        try:
            sent = await outbox.send_unsent()
        except Exception as error:  # noqa: BLE001  the log may be away for a while; the rows wait
            logger.warning("events could not be sent and stay in the outbox", extra={"reason": repr(error)})
        else:
            if sent:
                logger.info("events were sent late", extra={"count": sent})
        await asyncio.sleep(every_seconds)

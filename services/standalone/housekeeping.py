"""What Kafka's cleaner does by itself, the log in the folder has to be told."""

import asyncio
import logging

from omma.log.interface import Log

logger = logging.getLogger(__name__)


async def clean(log: Log, every_seconds: float) -> None:
    """Compact the log now and then, until cancelled: superseded vectors and expired events give their space back."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await log.compact()
        except Exception as error:  # noqa: BLE001  what was not cleaned now is cleaned next time
            logger.warning("the log was not compacted", extra={"reason": repr(error)})

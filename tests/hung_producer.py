"""A log's producer that hangs when a test wants it to."""

import asyncio
from collections.abc import Sequence

from omma.log.interface import Producer


class HungProducer:
    """Of a log that takes nothing and says nothing, until it is back."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.hangs = True
        self.asked = 0

    async def send_many(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        await self.producer.send_many(topic, records)

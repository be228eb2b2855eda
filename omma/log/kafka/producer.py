"""The plain producer: each send is durable on every in-sync replica when it returns."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from omma.errors import OmmaError, ReplicaDown, TooLarge, WrongState
from omma.log.interface import MAX_RECORD_BYTES, Producer, TopicPartition, Transaction
from omma.log.kafka.errors import ends_producer, translated
from omma.log.kafka.settings import KafkaSettings
from omma.log.kafka.topics import Topics

CLOSE_SECONDS: Final = 5.0
_SLICE: Final = 1_000
"""Records of one call that wait for their acknowledgement at once."""


class PlainProducer(Producer):
    """Idempotent: aiokafka's own retries keep the order and write nothing twice.

    What could not be delivered in time raises ReplicaDown and may still arrive; sending it again is the caller's.
    """

    def __init__(self, settings: KafkaSettings, topics: Topics) -> None:
        self._settings = settings
        self._topics = topics
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self.closed = False

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> int:
        require_size(key, value)
        await self._topics.require(TopicPartition(topic, partition))
        (offset,) = await self._deliver(topic, [(partition, key, value)])
        return offset

    async def send_many(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        for partition, key, value in records:
            require_size(key, value)
            await self._topics.require(TopicPartition(topic, partition))
        for start in range(0, len(records), _SLICE):
            await self._deliver(topic, records[start : start + _SLICE])

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        raise WrongState("This producer has no transactional id.")

    async def start(self) -> None:
        """Raises ReplicaDown when no broker answers."""
        await self._started()

    async def close(self) -> None:
        self.closed = True
        await self._discard()

    async def _deliver(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> list[int]:
        producer = await self._started()
        name = self._topics.full_name(topic)
        try:
            with translated():
                async with asyncio.timeout(self._settings.delivery_seconds):
                    sent = [await producer.send(name, value, key, partition) for partition, key, value in records]
                    return [metadata.offset for metadata in await asyncio.gather(*sent)]
        except ReplicaDown as error:
            if ends_producer(error.__cause__):
                # Its sequence numbers no longer fit what the broker has: another one begins anew.
                await self._discard()
            if self.closed:
                raise WrongState("The producer is closed.") from error
            raise

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self.closed:
                raise WrongState("The producer is closed.")
            if self._producer is None:
                self._producer = await started(self._settings, enable_idempotence=True)
            return self._producer

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)


async def started(settings: KafkaSettings, **arguments: Any) -> AIOKafkaProducer:
    """A producer of aiokafka that is connected. Raises ReplicaDown."""
    producer = AIOKafkaProducer(
        **settings.connection(),
        **arguments,
        acks="all",
        max_batch_size=settings.batch_bytes,
        max_request_size=MAX_RECORD_BYTES + 1_000,
    )
    try:
        with translated():
            async with asyncio.timeout(settings.delivery_seconds):
                await producer.start()
    except BaseException:
        await stop(producer)
        raise
    return producer


async def stop(producer: AIOKafkaProducer) -> None:
    """Let go of a producer, after a while even if it still has records to deliver."""
    try:
        with translated():
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer.stop()
    except OmmaError:
        await producer.client.close()


def require_size(key: bytes, value: bytes | None) -> None:
    """Raises TooLarge."""
    size = len(key) + (0 if value is None else len(value))
    if size > MAX_RECORD_BYTES:
        raise TooLarge(f"A record of {size} bytes is too large for the log.", limit=MAX_RECORD_BYTES)

"""The transactional producer: writes and consumed offsets that become visible together, or never."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import IllegalOperation

from omma.errors import OmmaError, ReplicaDown, WrongState
from omma.log.interface import Producer, ProducerFenced, TopicPartition, Transaction
from omma.log.kafka.errors import ends_producer, translated
from omma.log.kafka.producer import require_size, started, stop
from omma.log.kafka.settings import KafkaSettings
from omma.log.kafka.topics import Topics
from omma.log.names import checked_name

_ABORT_SECONDS: Final = 2.0
"""An abort goes on by itself; the block that failed waits for it only so long."""


class TransactionalProducer(Producer):
    """Holds an epoch of its transactional id. Whatever ends that epoch is ProducerFenced: nothing is taken over again,
    since a producer that takes its id back would fence a newer one and write old records after new ones.
    """

    def __init__(self, settings: KafkaSettings, topics: Topics, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._topics = topics
        self._producer = producer
        self._open = False
        self.closed = False
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fenced: str | None = None
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: KafkaSettings, topics: Topics, transactional_id: str) -> Self:
        """Fences whoever holds the id; what that one left open is aborted when this returns. Raises ReplicaDown."""
        full = settings.prefix + checked_name(transactional_id, "transactional_id")
        timeout_ms = int(settings.transaction_seconds * 1000)
        return cls(settings, topics, await started(settings, transactional_id=full, transaction_timeout_ms=timeout_ms))

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> int:
        raise WrongState("A transactional producer sends inside a transaction.")

    async def send_many(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        raise WrongState("A transactional producer sends inside a transaction.")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Raises ReplicaDown when the brokers did not answer in time: it may have been committed all the same."""
        if self._open:
            raise WrongState("A producer has one transaction at a time.")
        if self.closed:
            raise WrongState("The producer is closed.")
        self._open = True
        try:
            await self._begin()
            transaction = KafkaTransaction(self._settings, self._topics, self)
            try:
                yield transaction
                await transaction.delivered()
            except BaseException:
                await self._abort()
                raise
            await self._end(self._producer.commit_transaction(), self._settings.delivery_seconds)
        finally:
            self._open = False

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._closing.set_result(None)
            await stop(self._producer)

    async def attempt(self, work: Awaitable[Any], seconds: float) -> Any:
        """Await one step. Raises ProducerFenced when this producer may never write again, else as `translated`."""
        try:
            with translated():
                return await self._unless_closed(work, seconds)
        except ReplicaDown as error:
            if self.closed:
                raise WrongState("The producer is closed.") from error
            if ends_producer(error.__cause__):
                raise self._lose_place(error.__cause__) from error
            raise
        except (IllegalOperation, AssertionError) as error:
            # Fenced between two steps: aiokafka then finds itself in no transaction, or in no state to begin one.
            raise self._lose_place(error) from error

    def _lose_place(self, reason: BaseException | None) -> ProducerFenced:
        self._fenced = repr(reason)
        _seen(self._producer._txn_manager.wait_for_transaction_end())
        return ProducerFenced(f"This producer may not write again: {self._fenced}")

    async def _unless_closed(self, work: Awaitable[Any], seconds: float) -> Any:
        # A producer of aiokafka that is stopped leaves whoever waits for it waiting.
        step = asyncio.ensure_future(work)
        try:
            await asyncio.wait([step, self._closing], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                return step.result()
        finally:
            step.cancel()
        if self.closed:
            raise WrongState("The producer is closed.")
        raise TimeoutError

    @property
    def raw(self) -> AIOKafkaProducer:
        return self._producer

    async def _begin(self) -> None:
        if self._fenced is not None:
            raise ProducerFenced(f"This producer may not write again: {self._fenced}")
        if self._ending is not None:
            # The end of the last one was not seen in time; what came of it matters only if it was the end of us.
            await self._wait_for_end(self._settings.delivery_seconds)
        await self.attempt(self._producer.begin_transaction(), self._settings.request_seconds)

    async def _abort(self) -> None:
        if self._fenced is not None:
            return
        try:
            await self._end(self._producer.abort_transaction(), _ABORT_SECONDS)
        except (OmmaError, ProducerFenced):
            # The broker aborts what is left open; the reason that matters is the one that led here.
            return

    async def _end(self, work: Awaitable[None], seconds: float) -> None:
        self._ending = asyncio.ensure_future(work)
        await self._wait_for_end(seconds)

    async def _wait_for_end(self, seconds: float) -> None:
        assert self._ending is not None
        await asyncio.wait([self._ending, self._closing], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self.closed:
            raise WrongState("The producer is closed.")
        if not self._ending.done():
            raise ReplicaDown("Kafka has not ended the transaction in time.")
        ending, self._ending = self._ending, None
        await self.attempt(ending, seconds)


class KafkaTransaction(Transaction):
    """Sends at once, and waits for the acknowledgements at the end."""

    def __init__(self, settings: KafkaSettings, topics: Topics, producer: TransactionalProducer) -> None:
        self._settings = settings
        self._topics = topics
        self._producer = producer
        self._sent: list[asyncio.Future[Any]] = []

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        require_size(key, value)
        await self._topics.require(TopicPartition(topic, partition))
        name = self._topics.full_name(topic)
        sending = self._producer.raw.send(name, value, key, partition)
        sent = await self._producer.attempt(sending, self._settings.delivery_seconds)
        sent.add_done_callback(_seen)
        self._sent.append(sent)

    async def send_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        full = self._settings.prefix + checked_name(group, "group")
        for at in offsets:
            await self._topics.require(at)
        named = {KafkaPartition(self._topics.full_name(at.topic), at.partition): o for at, o in offsets.items()}
        sending = self._producer.raw.send_offsets_to_transaction(named, full)
        await self._producer.attempt(sending, self._settings.delivery_seconds)

    async def delivered(self) -> None:
        """Every record is with its brokers. Raises as the producer's `attempt`."""
        await self._producer.attempt(asyncio.gather(*self._sent), self._settings.delivery_seconds)


def _seen(sent: asyncio.Future[Any]) -> None:
    """A failure that has been told of already, or is of a transaction that is aborted anyway, is not logged again."""
    if sent.done() and not sent.cancelled():
        sent.exception()

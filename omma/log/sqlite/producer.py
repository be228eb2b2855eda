"""Producers: plain, and transactional with fencing."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from omma.errors import TooLarge, WrongState
from omma.log.interface import Producer, ProducerFenced, TopicPartition, Transaction
from omma.log.names import checked_name
from omma.log.sqlite.topics import Topics
from omma.log.sqlite.writer import Batch, Writer

MAX_RECORD_BYTES: Final = 16 << 20
MAX_TRANSACTION_BYTES: Final = 256 << 20
"""A transaction is held in memory until it commits."""


class PlainProducer(Producer):
    """Each send is durable when it returns; sends that wait together share one commit."""

    def __init__(self, topics: Topics, writer: Writer, clock: Callable[[], float]) -> None:
        self._topics = topics
        self._writer = writer
        self._clock = clock

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> int:
        partition_id = self._topics.partition_id(TopicPartition(topic, partition))
        size = record_bytes(key, value)
        timestamp_ms = int(self._clock() * 1000)
        return await self._writer.run(lambda batch: batch.append(partition_id, key, value, timestamp_ms), size)

    async def send_many(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        found = [(self._topics.partition_id(TopicPartition(topic, p)), key, value) for p, key, value in records]
        size = sum(record_bytes(key, value) for _, key, value in found)
        timestamp_ms = int(self._clock() * 1000)

        def write(batch: Batch) -> None:
            for partition_id, key, value in found:
                batch.append(partition_id, key, value, timestamp_ms)

        await self._writer.run(write, size)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        raise WrongState("This producer has no transactional id.")

    async def close(self) -> None:
        """Nothing waits: each send returned when it was durable."""


class TransactionalProducer(Producer):
    """Holds an epoch of its transactional id; each commit checks that no newer one was taken."""

    def __init__(
        self, topics: Topics, writer: Writer, clock: Callable[[], float], transactional_id: str, epoch: int
    ) -> None:
        self._topics = topics
        self._writer = writer
        self._clock = clock
        self._transactional_id = transactional_id
        self._epoch = epoch
        self._open = False

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> int:
        raise WrongState("A transactional producer sends inside a transaction.")

    async def send_many(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        raise WrongState("A transactional producer sends inside a transaction.")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self._open:
            raise WrongState("A producer has one transaction at a time.")
        self._open = True
        try:
            transaction = SqliteTransaction(self._topics)
            yield transaction
            await self._writer.run(self._commit(transaction), transaction.size)
        finally:
            self._open = False

    async def close(self) -> None:
        """Nothing waits: a transaction is committed or gone when its block ends."""

    def _commit(self, transaction: "SqliteTransaction") -> Callable[[Batch], None]:
        timestamp_ms = int(self._clock() * 1000)

        def write(batch: Batch) -> None:
            (newest,) = batch.connection.execute(
                "SELECT epoch FROM producer WHERE transactional_id = ?", (self._transactional_id,)
            ).fetchone()
            if newest != self._epoch:
                raise ProducerFenced(f"{self._transactional_id!r} has a newer producer: {newest} after {self._epoch}")
            batch.require({partition_id for partition_id, _, _ in transaction.records})
            for partition_id, key, value in transaction.records:
                batch.append(partition_id, key, value, timestamp_ms)
            write_offsets(batch, transaction.offsets)

        return write


class SqliteTransaction(Transaction):
    """Kept in memory, so that an open or aborted one was never in the log."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.records: list[tuple[int, bytes, bytes | None]] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.size = 0

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        partition_id = self._topics.partition_id(TopicPartition(topic, partition))
        self.size += record_bytes(key, value)
        if self.size > MAX_TRANSACTION_BYTES:
            raise TooLarge("Commit transactions sooner: this one is too large.", limit=MAX_TRANSACTION_BYTES)
        self.records.append((partition_id, key, value))

    async def send_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self.offsets |= offsets_of(self._topics, group, offsets)


def claim_epoch(batch: Batch, transactional_id: str) -> int:
    """Fence whoever holds the id; returns the new holder's epoch."""
    [(epoch,)] = batch.connection.execute(
        "INSERT INTO producer VALUES (?, 1) "
        "ON CONFLICT (transactional_id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        (transactional_id,),
    ).fetchall()
    return int(epoch)


def offsets_of(topics: Topics, group: str, offsets: Mapping[TopicPartition, int]) -> dict[tuple[str, int], int]:
    """Next-offsets by group and partition id. Raises Absent, InvalidQuery."""
    checked_name(group, "group")
    return {(group, topics.partition_id(at)): offset for at, offset in offsets.items()}


def write_offsets(batch: Batch, offsets: Mapping[tuple[str, int], int]) -> None:
    batch.connection.executemany(
        "INSERT OR REPLACE INTO group_offset VALUES (?, ?, ?)",
        [(group, partition_id, offset) for (group, partition_id), offset in offsets.items()],
    )


def record_bytes(key: bytes, value: bytes | None) -> int:
    """Raises TooLarge."""
    size = len(key) + (0 if value is None else len(value))
    if size > MAX_RECORD_BYTES:
        raise TooLarge(f"A record of {size} bytes is too large for the log.", limit=MAX_RECORD_BYTES)
    return size

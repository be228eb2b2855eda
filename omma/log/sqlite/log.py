"""The log itself: topics, offsets, and the making of producers and consumers."""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Self

from omma.errors import Absent, InvalidQuery, WrongState
from omma.log.interface import Consumer, Log, LogRecord, OnAssigned, Producer, Purge, TopicPartition, TopicSpec
from omma.log.names import checked_name
from omma.log.sqlite.compaction import clean
from omma.log.sqlite.consumer import AssignedConsumer, GroupConsumer, Membership
from omma.log.sqlite.groups import Group
from omma.log.sqlite.producer import PlainProducer, TransactionalProducer, claim_epoch
from omma.log.sqlite.reader import Readers
from omma.log.sqlite.topics import (
    MAX_PARTITIONS,
    Topics,
    create_topic,
    delete_some,
    delete_topic,
    left_behind,
    load,
    make_compacted,
    times_deleted,
)
from omma.log.sqlite.writer import Batch, Writer
from omma.sqlite_errors import BUSY_TIMEOUT_SECONDS

_SCAN_RECORDS: Final = 2_000
_DELETED_AT_ONCE: Final = 5_000
"""Records of one transaction: other writers wait for it."""


class SqliteLog(Log):
    """A log in one SQLite file, for one process at a time (the data folder's lock sees to that).

    What was acknowledged survives kill -9 and a power loss. Made on, and used from, one event loop.
    """

    def __init__(self, topics: Topics, readers: Readers, writer: Writer, clock: Callable[[], float]) -> None:
        self._topics = topics
        self._readers = readers
        self._writer = writer
        self._clock = clock
        self._groups: dict[tuple[str, str], Group] = {}
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
    ) -> Self:
        """Open the log, making it when it is not there; its folder must exist.

        clock: seconds since 1970, for timestamps and retention. busy_timeout_seconds: how long a write waits for
        another process. Raises Overloaded (another process writes to it),
        StorageFull, Corrupt, WrongState (another format).
        """
        topics = Topics()
        writer = await Writer.open(path, topics.grew, busy_timeout_seconds)
        log = cls(topics, Readers(path, busy_timeout_seconds), writer, clock)
        try:
            found, ends = await log._readers.run(load)
            for ids in await log._readers.run(left_behind):
                await log._delete_records(ids)
        except BaseException:
            await log.close()
            raise
        for topic in found:
            topics.add(topic, ends)
        return log

    async def identity(self, topic: str | None = None) -> str:
        """A topic adds how often it was deleted before, if it was."""
        identity = await self._readers.run(_identity)
        if topic is None:
            return identity
        self._topics.find(topic)
        deleted = await self._readers.run(partial(times_deleted, name=topic))
        return f"{identity}/{deleted}" if deleted else identity

    async def ensure_topic(self, spec: TopicSpec) -> None:
        checked_name(spec.name, "topic")
        if not 1 <= spec.partitions <= MAX_PARTITIONS:
            raise InvalidQuery(f"A topic has 1 to {MAX_PARTITIONS} partitions.", field="partitions")
        self._topics.add(await self._writer.run(partial(create_topic, spec=spec)), {})

    async def make_compacted(self, topic: str) -> None:
        self._topics.find(topic)
        self._topics.add(await self._writer.run(partial(make_compacted, name=topic)), {})

    async def topics(self) -> Sequence[TopicSpec]:
        return [topic.spec for topic in self._topics.all()]

    async def delete_topic(self, name: str) -> None:
        """Nobody reaches it any more before its first record goes: however busy its writers, it ends."""
        try:
            topic = self._topics.find(name)
        except Absent:
            return
        if await self._writer.run(partial(delete_topic, topic=topic)):
            self._topics.remove(name)
            self._groups = {key: members for key, members in self._groups.items() if key[0] != name}
        await self._delete_records(topic.partition_ids)

    async def delete_group(self, group: str) -> bool:
        checked_name(group, "group")
        if any(not members.empty for (_, name), members in self._groups.items() if name == group):
            return False

        def forget(batch: Batch) -> None:
            batch.connection.execute("DELETE FROM group_offset WHERE group_name = ?", (group,))

        await self._writer.run(forget)
        self._groups = {key: members for key, members in self._groups.items() if key[1] != group}
        return True

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """Raises Absent, as every call that names a topic does."""
        return await self._by_partition(topic, "SELECT id, beginning FROM partition WHERE id >= ? AND id < ?")

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        ids = self._topics.find(topic).partition_ids
        return {partition: self._topics.end(partition_id) for partition, partition_id in enumerate(ids)}

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        query = (
            "SELECT partition_id, next FROM group_offset "
            "WHERE partition_id >= ? AND partition_id < ? AND group_name = ?"
        )
        found = await self._by_partition(topic, query, checked_name(group, "group"))
        # The file has an offset before this process has heard of the records that were written with it.
        await self._writer.told()
        return found

    async def producer(self, transactional_id: str | None = None) -> Producer:
        if transactional_id is None:
            return PlainProducer(self._topics, self._writer, self._clock)
        checked_name(transactional_id, "transactional_id")
        epoch = await self._writer.run(partial(claim_epoch, transactional_id=transactional_id))
        return TransactionalProducer(self._topics, self._writer, self._clock, transactional_id, epoch)

    async def subscribe(self, topic: str, group: str, on_assigned: OnAssigned | None = None) -> Consumer:
        """A member that stops polling without a close keeps its partitions."""
        self._require_open()
        key = (topic, checked_name(group, "group"))
        found = self._topics.find(topic)
        members = self._groups.get(key)
        if members is None:
            partitions = [TopicPartition(topic, partition) for partition in range(found.spec.partitions)]
            members = self._groups[key] = Group(partitions, partial(self._topics.wake, topic))
        membership = Membership(topic, group, members, on_assigned)
        consumer = GroupConsumer(self._topics, self._readers, self._writer, membership)
        try:
            await consumer.start()
        except BaseException:
            await consumer.close()  # who has no consumer to close would keep its share for ever
            raise
        return consumer

    async def assign(self, positions: Mapping[TopicPartition, int]) -> Consumer:
        self._require_open()
        return AssignedConsumer(self._topics, self._readers, positions)

    async def scan(self, topic: str) -> AsyncIterator[LogRecord]:
        beginnings = await self.beginning_offsets(topic)
        ends = await self.end_offsets(topic)
        for partition, start in beginnings.items():
            at, end = TopicPartition(topic, partition), ends[partition]
            consumer = AssignedConsumer(self._topics, self._readers, {at: start})
            try:
                while consumer.position(at) < end:
                    for record in await consumer.poll(_SCAN_RECORDS, 0.0):
                        if record.offset < end:
                            yield record
            finally:
                await consumer.close()

    async def compact(self) -> None:
        await clean(self._topics.all(), self._readers, self._writer, self._clock)

    @asynccontextmanager
    async def purging(self, topic: str) -> AsyncIterator[Purge]:
        self._topics.find(topic)
        yield self._purge

    async def _purge(self) -> None:
        # Deleted records are overwritten (secure_delete); the file of recent writes still has them.
        await self.compact()
        await self._writer.truncate()

    async def close(self) -> None:
        """Writes what waits; a poll under way raises WrongState."""
        if not self._closed:
            self._closed = True
            self._topics.close()
            await self._writer.close()
            await self._readers.close()

    async def _by_partition(self, topic: str, query: str, *arguments: str) -> dict[int, int]:
        ids = self._topics.find(topic).partition_ids
        rows = await self._readers.run(lambda c: c.execute(query, (ids.start, ids.stop, *arguments)).fetchall())
        return {partition_id - ids.start: offset for partition_id, offset in rows}

    async def _delete_records(self, ids: range) -> None:
        while await self._writer.run(partial(delete_some, ids=ids, records=_DELETED_AT_ONCE)):
            pass

    def _require_open(self) -> None:
        if self._closed:
            raise WrongState("The log is closed.")


def _identity(connection: sqlite3.Connection) -> str:
    (identity,) = connection.execute("SELECT identity FROM log").fetchone()
    return str(identity)

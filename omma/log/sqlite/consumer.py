"""Consumers: explicit positions, or a member of a group."""

import asyncio
import logging
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from omma.errors import ConcurrentWrite, WrongState
from omma.log.interface import Consumer, LogRecord, OffsetOutOfRange, OnAssigned, TopicPartition
from omma.log.sqlite.groups import Group
from omma.log.sqlite.producer import offsets_of, write_offsets
from omma.log.sqlite.reader import Readers, Span, fetch, first_offset
from omma.log.sqlite.topics import Topics
from omma.log.sqlite.writer import Writer

logger = logging.getLogger(__name__)


class AssignedConsumer(Consumer):
    """Reads exactly the partitions that it was given."""

    def __init__(self, topics: Topics, readers: Readers, positions: Mapping[TopicPartition, int]) -> None:
        self._topics = topics
        self._readers = readers
        self._ids = {at: topics.partition_id(at) for at in positions}
        self._positions = dict(positions)
        self._paused: set[TopicPartition] = set()
        self._grew = asyncio.Event()
        self._closed = False
        self._watched = {at.topic for at in positions}
        topics.watch(self._watched, self._grew)

    async def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_seconds
        while True:
            self._require_open()
            self._grew.clear()
            await self._settle()
            spans = self._ready()
            if spans:
                records = await self._fetch(spans, max_records)
                if records:
                    return records
                continue  # only gaps: the positions have moved past them
            left = until - loop.time()
            if left <= 0:
                return []
            try:
                async with asyncio.timeout(left):
                    await self._grew.wait()
            except TimeoutError:
                return []

    def assignment(self) -> Collection[TopicPartition]:
        return frozenset(self._positions)

    def position(self, at: TopicPartition) -> int:
        self._require_assigned(at)
        return self._positions[at]

    def seek(self, at: TopicPartition, offset: int) -> None:
        self._require_assigned(at)
        self._positions[at] = offset

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._paused -= set(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        raise WrongState("Only a consumer with a group commits.")

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._topics.unwatch(self._watched, self._grew)
            self._grew.set()

    async def _settle(self) -> None:
        """Before each look at the log: nothing to settle without a group."""

    def _ready(self) -> list[Span]:
        """What there is to read. Raises OffsetOutOfRange for a position beyond the end or below 0."""
        spans = []
        for at, start in self._positions.items():
            if at in self._paused:
                continue
            partition_id = self._ids[at]
            end = self._topics.end(partition_id)
            if not 0 <= start <= end:
                raise OffsetOutOfRange(at, start)
            if start < end:
                spans.append(Span(at, partition_id, start, end))
        return spans

    async def _fetch(self, spans: list[Span], max_records: int) -> list[LogRecord]:
        fetched = await self._readers.run(partial(fetch, spans=spans, max_records=max_records))
        for at, position in fetched.positions.items():
            # Read to its end, a partition goes to the back of the line: a busy one starves no other.
            del self._positions[at]
            self._positions[at] = position
        return fetched.records

    def _require_assigned(self, at: TopicPartition) -> None:
        if at not in self._positions:
            raise WrongState(f"{at.topic}[{at.partition}] is not assigned to this consumer.")

    def _require_open(self) -> None:
        if self._closed or self._topics.closed:
            raise WrongState("The consumer is closed.")


@dataclass(frozen=True, slots=True)
class Membership:
    topic: str
    group: str
    members: Group
    on_assigned: OnAssigned | None = None


class GroupConsumer(AssignedConsumer):
    """Reads its share of a topic from where the group has committed."""

    def __init__(self, topics: Topics, readers: Readers, writer: Writer, membership: Membership) -> None:
        super().__init__(topics, readers, {})
        self._writer = writer
        self._group = membership.group
        self._members = membership.members
        self._on_assigned = membership.on_assigned
        self._watched = {membership.topic}
        topics.watch(self._watched, self._grew)
        self._members.join(self)

    async def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        """Records that expired before they were read are passed over, as Kafka's groups do: it goes on where the
        partition begins.
        """
        while True:
            try:
                return await super().poll(max_records, timeout_seconds)
            except OffsetOutOfRange as error:
                first = await self._readers.run(partial(first_offset, partition_id=self._ids[error.at]))
                if first <= self._positions[error.at]:
                    raise
                logger.warning("records expired unread", extra={"at": str(error), "goes_on_at": first})
                self._positions[error.at] = first

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises ConcurrentWrite when a partition has gone to another member meanwhile."""
        lost = [at for at in offsets if not self._members.owns(self, at)]
        if lost:
            raise ConcurrentWrite(f"{lost[0].topic}[{lost[0].partition}] belongs to another member of the group now.")
        found = offsets_of(self._topics, self._group, offsets)
        await self._writer.run(lambda batch: write_offsets(batch, found))

    async def close(self) -> None:
        if not self._closed:
            await super().close()
            self._members.leave(self)

    async def _settle(self) -> None:
        owned = self._members.settle(self)
        for at in self._positions.keys() - owned:
            del self._positions[at]
            del self._ids[at]
        gained = owned - self._positions.keys()
        if gained:
            if self._on_assigned is not None:
                await self._on_assigned(sorted(gained))
            ids = {at: self._topics.partition_id(at) for at in gained}
            starts = await self._readers.run(partial(group_starts, group=self._group, partition_ids=ids.values()))
            self._ids |= ids
            self._positions |= {at: starts[ids[at]] for at in sorted(gained)}

    async def start(self) -> None:
        """Take what is free at once, so that the assignment is known before the first poll."""
        await self._settle()


def group_starts(connection: sqlite3.Connection, group: str, partition_ids: Collection[int]) -> dict[int, int]:
    """Where a group goes on: its committed next-offset, or the partition's beginning where that is later. Raises Absent
    when the topic was deleted. Blocking.
    """
    query = "SELECT next FROM group_offset WHERE group_name = ? AND partition_id = ?"
    starts = {}
    for partition_id in partition_ids:
        (committed,) = connection.execute(query, (group, partition_id)).fetchone() or (0,)
        starts[partition_id] = max(committed, first_offset(connection, partition_id))
    return starts

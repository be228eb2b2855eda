"""What the process knows of topics: their partitions, where these end, and who waits for them to grow."""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from omma.errors import Absent, WrongState
from omma.log.interface import TopicPartition, TopicSpec
from omma.log.sqlite.schema import position
from omma.log.sqlite.writer import Batch

MAX_PARTITIONS: Final = 1 << 16
_DELETED: Final = "#"
"""Follows the name of a topic that is no more, and is in no name: its partitions' ids are never another's."""


@dataclass(frozen=True, slots=True)
class Topic:
    spec: TopicSpec
    first_partition_id: int

    @property
    def partition_ids(self) -> range:
        return range(self.first_partition_id, self.first_partition_id + self.spec.partitions)


class Topics:
    """Kept by the event loop's thread: an end moves when its records are durable, and wakes whoever waits."""

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}
        self._topic_of_partition: dict[int, str] = {}
        self._ends: dict[int, int] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.closed = False

    def add(self, topic: Topic, ends: Mapping[int, int]) -> None:
        """ends: by partition id; a partition that is left out is empty."""
        self._topics[topic.spec.name] = topic
        for partition_id in topic.partition_ids:
            self._topic_of_partition[partition_id] = topic.spec.name
            self._ends.setdefault(partition_id, ends.get(partition_id, 0))

    def remove(self, name: str) -> None:
        """Wakes its readers, who find it absent."""
        topic = self._topics.pop(name)
        for partition_id in topic.partition_ids:
            del self._topic_of_partition[partition_id], self._ends[partition_id]
        self.wake(name)

    def all(self) -> list[Topic]:
        return sorted(self._topics.values(), key=lambda topic: topic.spec.name)

    def find(self, name: str) -> Topic:
        """Raises Absent, field `topic`."""
        topic = self._topics.get(name)
        if topic is None:
            raise Absent(f"The log has no topic {name!r}.", field="topic")
        return topic

    def partition_id(self, at: TopicPartition) -> int:
        """Raises Absent when there is no such topic or partition."""
        topic = self.find(at.topic)
        if not 0 <= at.partition < topic.spec.partitions:
            raise Absent(f"Topic {at.topic!r} has no partition {at.partition}.", field="partition")
        return topic.first_partition_id + at.partition

    def end(self, partition_id: int) -> int:
        """Raises Absent when its topic was deleted."""
        end = self._ends.get(partition_id)
        if end is None:
            raise Absent("The log has this topic no more.", field="topic")
        return end

    def grew(self, ends: Mapping[int, int]) -> None:
        """Take over the new ends by partition id and wake the readers of their topics. What is of no topic is passed
        over: it was deleted meanwhile.
        """
        known = {partition_id: end for partition_id, end in ends.items() if partition_id in self._ends}
        self._ends.update(known)
        for name in {self._topic_of_partition[partition_id] for partition_id in known}:
            self.wake(name)

    def wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            event.set()

    def close(self) -> None:
        """Wake every reader to find the log closed."""
        self.closed = True
        for name in self._waiting:
            self.wake(name)

    def watch(self, names: Iterable[str], event: asyncio.Event) -> None:
        """Set the event whenever one of the topics grows."""
        for name in names:
            self._waiting.setdefault(name, set()).add(event)

    def unwatch(self, names: Iterable[str], event: asyncio.Event) -> None:
        for name in names:
            self._waiting.get(name, set()).discard(event)


def create_topic(batch: Batch, spec: TopicSpec) -> Topic:
    """Create the topic, or find it. Raises WrongState when it exists with other partitions or compaction."""
    topic = _stored(batch.connection, spec.name)
    if topic is None:
        # Of deleted ones too: an id is never another's.
        query = "SELECT coalesce(max(first_partition_id + partitions), 1) FROM topic"
        (first,) = batch.connection.execute(query).fetchone()
        topic = Topic(spec, first)
        batch.connection.execute(
            "INSERT INTO topic VALUES (?, ?, ?, ?, ?)",
            (spec.name, first, spec.partitions, spec.compacted, spec.retention_seconds),
        )
        batch.connection.executemany("INSERT INTO partition (id) VALUES (?)", [(i,) for i in topic.partition_ids])
        return topic
    if (topic.spec.partitions, topic.spec.compacted) != (spec.partitions, spec.compacted):
        raise WrongState(
            f"Topic {spec.name!r} has {topic.spec.partitions} partitions, compacted={topic.spec.compacted}, "
            f"not {spec.partitions}, compacted={spec.compacted}.",
            field="topic",
        )
    if topic.spec != spec:
        batch.connection.execute(
            "UPDATE topic SET retention_seconds = ? WHERE name = ?", (spec.retention_seconds, spec.name)
        )
    return Topic(spec, topic.first_partition_id)


def make_compacted(batch: Batch, name: str) -> Topic:
    """Raises Absent."""
    batch.connection.execute("UPDATE topic SET compacted = TRUE WHERE name = ?", (name,))
    topic = _stored(batch.connection, name)
    if topic is None:
        raise Absent(f"The log has no topic {name!r}.", field="topic")
    return topic


def delete_topic(batch: Batch, topic: Topic) -> bool:
    """From now on nobody reaches it; its records go after. False where it was deleted already."""
    ids = topic.partition_ids
    renamed = batch.connection.execute(
        "UPDATE topic SET name = name || ? WHERE name = ? AND first_partition_id = ?",
        (f"{_DELETED}{ids.start}", topic.spec.name, ids.start),
    )
    if renamed.rowcount == 0:
        return False
    for query in (
        "DELETE FROM partition WHERE id >= ? AND id < ?",
        "DELETE FROM group_offset WHERE partition_id >= ? AND partition_id < ?",
    ):
        batch.connection.execute(query, (ids.start, ids.stop))
    return True


def delete_some(batch: Batch, ids: range, records: int) -> int:
    """Delete so many records of these partitions at most; returns how many it were."""
    query = (
        "DELETE FROM record WHERE position IN "
        "(SELECT position FROM record WHERE position >= ? AND position < ? LIMIT ?)"
    )
    return batch.connection.execute(query, (*_positions(ids), records)).rowcount


def times_deleted(connection: sqlite3.Connection, name: str) -> int:
    """How often there was a topic of this name that is no more. Blocking."""
    # Digits sort between the two.
    query = "SELECT count(*) FROM topic WHERE name > ? AND name < ?"
    (count,) = connection.execute(query, (f"{name}{_DELETED}", f"{name}{_DELETED}:")).fetchone()
    return int(count)


def left_behind(connection: sqlite3.Connection) -> list[range]:
    """Partition ids of deleted topics that have records: whoever deleted them was cut off. Blocking."""
    rows = connection.execute("SELECT name, first_partition_id, partitions FROM topic").fetchall()
    deleted = [range(first, first + partitions) for name, first, partitions in rows if _DELETED in name]
    query = "SELECT 1 FROM record WHERE position >= ? AND position < ? LIMIT 1"
    return [ids for ids in deleted if connection.execute(query, _positions(ids)).fetchone()]


def load(connection: sqlite3.Connection) -> tuple[list[Topic], dict[int, int]]:
    """Every topic, and the end of each partition by its id. Blocking."""
    rows = connection.execute("SELECT name, partitions, compacted, retention_seconds, first_partition_id FROM topic")
    topics = [_topic(row) for row in rows if _DELETED not in row[0]]
    return topics, dict(connection.execute("SELECT id, next FROM partition").fetchall())


def _positions(ids: range) -> tuple[int, int]:
    return position(ids.start, 0), position(ids.stop, 0)


def _stored(connection: sqlite3.Connection, name: str) -> Topic | None:
    row = connection.execute(
        "SELECT name, partitions, compacted, retention_seconds, first_partition_id FROM topic WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else _topic(row)


def _topic(row: tuple[str, int, int, int, int]) -> Topic:
    name, partitions, compacted, retention_seconds, first_partition_id = row
    return Topic(TopicSpec(name, partitions, bool(compacted), retention_seconds), first_partition_id)

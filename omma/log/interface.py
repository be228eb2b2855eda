"""The log: topics of ordered, keyed records in partitions. Kafka's semantics, so that Kafka can be the backend."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

MAX_RECORD_BYTES: Final = 1_000_000
"""Key and value of a record that every log takes: less than Kafka's own bound of a batch, message.max.bytes =
1,048,588.
"""


class TopicPartition(NamedTuple):
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """compacted: keep the last record of each key for ever; else records go after retention_seconds."""

    name: str
    partitions: int
    compacted: bool = False
    retention_seconds: int = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One committed record. offset: position in its partition, from 0, rising; compaction leaves gaps."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    timestamp_ms: int

    @property
    def place(self) -> str:
        """Where it lies, as logs and letters say it."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


OnAssigned = Callable[[Sequence[TopicPartition]], Awaitable[None]]
"""Told a member's new partitions, in order, before their committed offsets are looked up and anything is read: the
place to fence who wrote for them before. Starting a transactional producer there, and only there, keeps a member that
was away from writing old records after its successor's.
"""


Purge = Callable[[], Awaitable[None]]
"""Lets what may go leave the disk, at once or, where servers do it, soon."""


class ProducerFenced(Exception):
    """A newer producer with the same transactional id exists, or this one lost its place: it may never write again."""


class OffsetOutOfRange(Exception):
    """The position lies before the first or after the last offset that the log has: replay from the start."""

    def __init__(self, at: TopicPartition, offset: int) -> None:
        super().__init__(f"{at.topic}[{at.partition}] has no offset {offset}")
        self.at = at
        self.offset = offset


class Transaction(Protocol):
    """Writes that become visible together, with the offsets that caused them."""

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None: ...

    async def send_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these next-offsets of a consumer group with the transaction."""


class Producer(Protocol):
    """Without a transactional id: send. With one: only transactions; starting it fences the older holder."""

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> int:
        """Returns the record's offset once it is durable."""

    async def send_many(self, topic: str, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        """(partition, key, value) each; all durable when it returns."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits on a clean exit, aborts on an exception. Raises ProducerFenced.

        What it committed is durable then, and visible at once or, with a server, a moment later.
        """

    async def close(self) -> None: ...


class Consumer(Protocol):
    """Reads committed records of its partitions in offset order. Used by one task at a time."""

    async def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        """Up to max_records, as soon as there are any; none after waiting for so long in vain.

        With timeout 0 it does not wait for a server: what has arrived already. Raises OffsetOutOfRange; a member of a
        group goes on at the beginning instead, when what it was to read has expired.
        """

    def assignment(self) -> Collection[TopicPartition]:
        """What it reads now. Of a group's member: known, and given up, only between two polls or in one."""

    def position(self, at: TopicPartition) -> int:
        """Offset of the next record that poll will return."""

    def seek(self, at: TopicPartition, offset: int) -> None: ...

    def pause(self, partitions: Collection[TopicPartition]) -> None: ...

    def resume(self, partitions: Collection[TopicPartition]) -> None: ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Next-offsets of the consumer's group, without a transaction. Needs a group."""

    async def close(self) -> None: ...


class Log(Protocol):
    """A log with an identity. Every name that it takes is [A-Za-z0-9._-]{1,249}."""

    async def identity(self, topic: str | None = None) -> str:
        """Made once with the log; another log, even with equal topics, has another one.

        With a topic: of the log and this topic, which differs for a topic that was deleted and made again, where topics
        can be. Raises Absent.
        """

    async def ensure_topic(self, spec: TopicSpec) -> None:
        """Create it, or check it. Raises WrongState when it exists with other partitions or compaction."""

    async def make_compacted(self, topic: str) -> None:
        """From now on it keeps the last record of each key for ever, what it has of them included. Raises Absent."""

    async def topics(self) -> Sequence[TopicSpec]: ...

    async def delete_topic(self, name: str) -> None:
        """For good, with its records; nothing where there is none. Whoever reads or writes it is told Absent."""

    async def delete_group(self, group: str) -> bool:
        """Forget what the group committed: its next member begins anew. False, and nothing done, while it has any."""

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """First readable offset, by partition."""

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """Offset that the next committed record will get, by partition."""

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """Next-offsets that the group committed; partitions without one are left out."""

    async def producer(self, transactional_id: str | None = None) -> Producer: ...

    async def subscribe(self, topic: str, group: str, on_assigned: OnAssigned | None = None) -> Consumer:
        """A member of the group: starts at its committed offsets, or the beginning if that is later.

        Partitions are shared out; they may come with a later poll, and after each change of hands are read from their
        committed offsets again.
        """

    async def assign(self, positions: Mapping[TopicPartition, int]) -> Consumer:
        """Exactly these partitions from these offsets, no group."""

    def scan(self, topic: str) -> AsyncIterator[LogRecord]:
        """Every committed record from the beginning to the end as it is now, partition by partition."""

    async def compact(self) -> None:
        """Drop superseded records of compacted topics and expired ones of the others. Kafka does this by itself."""

    def purging(self, topic: str) -> AbstractAsyncContextManager[Purge]:
        """While it is open, superseded records of this compacted topic leave the disk within seconds, bytes and all.

        Of a partition, once something was written to it a second or more after them: write, purge, look, and again
        until they are gone. Raises Absent, NotAllowed, ReplicaDown.
        """

    async def close(self) -> None: ...

"""Reading: a few threads, each with a connection of its own, which writers never block."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from omma.errors import Absent, WrongState
from omma.log.interface import LogRecord, OffsetOutOfRange, TopicPartition
from omma.log.sqlite.schema import OFFSET_MASK, open_reader, position
from omma.sqlite_errors import storage_error

T = TypeVar("T")

_THREADS: Final = 2
MAX_FETCH_BYTES: Final = 64 << 20
"""One poll stops after the record that passes this, as Kafka's fetch.max.bytes does."""


class Readers:
    """Runs reads, each in one snapshot of the database."""

    def __init__(self, path: Path, busy_timeout_seconds: float) -> None:
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._closed = False
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="omma-log-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Raises Overloaded, Corrupt, ReplicaDown, and what `read` raises."""
        if self._closed:
            raise WrongState("The log is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._in_snapshot, read)

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)
        for connection in self._connections:
            connection.close()

    def _in_snapshot(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                return read(connection)
            finally:
                if connection.in_transaction:  # SQLite ends it by itself where the disk fails
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise storage_error(error, "The log") or error from None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_reader(self._path, self._busy_timeout_seconds)
            self._connections.append(connection)
        return connection


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets start … end - 1 of a partition, all committed."""

    at: TopicPartition
    partition_id: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """positions: where each partition that was read goes on."""

    records: list[LogRecord]
    positions: dict[TopicPartition, int]


def first_offset(connection: sqlite3.Connection, partition_id: int) -> int:
    """That the partition still has. Raises Absent when its topic was deleted. Blocking."""
    row = connection.execute("SELECT beginning FROM partition WHERE id = ?", (partition_id,)).fetchone()
    if row is None:
        raise Absent("The log has this topic no more.", field="topic")
    return int(row[0])


def fetch(connection: sqlite3.Connection, spans: Sequence[Span], max_records: int) -> Fetched:
    """Records of the spans, in their order, until max_records or MAX_FETCH_BYTES. Blocking.

    Raises OffsetOutOfRange when a span starts before the first offset that its partition still has, Absent when its
    topic was deleted.
    """
    records: list[LogRecord] = []
    positions: dict[TopicPartition, int] = {}
    left_bytes = MAX_FETCH_BYTES
    for span in spans:
        if len(records) >= max_records or left_bytes <= 0:
            break
        if span.start < first_offset(connection, span.partition_id):
            raise OffsetOutOfRange(span.at, span.start)
        rows = connection.execute(
            "SELECT position, key, value, timestamp_ms FROM record "
            "WHERE position >= ? AND position < ? ORDER BY position LIMIT ?",
            (
                position(span.partition_id, span.start),
                position(span.partition_id, span.end),
                max_records - len(records),
            ),
        )
        topic, partition = span.at
        cut = False
        for place, key, value, timestamp_ms in rows:
            records.append(LogRecord(topic, partition, place & OFFSET_MASK, key, value, timestamp_ms))
            left_bytes -= len(key) + (len(value) if value is not None else 0)
            if left_bytes <= 0 or len(records) == max_records:
                cut = True
                break
        # Up to the end there may be only gaps that compaction left: the partition is read either way.
        positions[span.at] = records[-1].offset + 1 if cut else span.end
    return Fetched(records, positions)

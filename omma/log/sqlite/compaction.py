"""What Kafka's cleaner does: superseded records of compacted topics go, expired ones of the others too."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from omma.log.sqlite.reader import Readers
from omma.log.sqlite.schema import OFFSET_MASK, position
from omma.log.sqlite.topics import Topic
from omma.log.sqlite.writer import Batch, Writer

TOMBSTONE_RETENTION_SECONDS: Final = 24 * 3600
"""A null stays this long, so that a reader who follows the log sees it (Kafka's delete.retention.ms)."""
_SLICE: Final = 5_000
"""Records deleted in one transaction: writers wait at most for one slice, about 10 ms."""


async def clean(topics: Sequence[Topic], readers: Readers, writer: Writer, clock: Callable[[], float]) -> None:
    """One pass over every partition; sends and polls go on meanwhile."""
    now_ms = int(clock() * 1000)
    for topic in topics:
        for partition_id in topic.partition_ids:
            if topic.spec.compacted:
                await _compact(partition_id, readers, writer, now_ms - TOMBSTONE_RETENTION_SECONDS * 1000)
            else:
                await _expire(partition_id, readers, writer, now_ms - topic.spec.retention_seconds * 1000)


async def _compact(partition_id: int, readers: Readers, writer: Writer, tombstones_before_ms: int) -> None:
    # What is superseded stays so: it may be read in one snapshot and deleted in later transactions.
    found = await readers.run(
        partial(_superseded, partition_id=partition_id, tombstones_before_ms=tombstones_before_ms)
    )
    if found is None:
        return
    doomed, cleaned = found
    for start in range(0, len(doomed), _SLICE):
        await writer.run(partial(_delete, positions=doomed[start : start + _SLICE]))
    await writer.run(partial(_mark_cleaned, partition_id=partition_id, cleaned=cleaned))


async def _expire(partition_id: int, readers: Readers, writer: Writer, before_ms: int) -> None:
    while True:
        beginning = await readers.run(partial(_first_kept, partition_id=partition_id, before_ms=before_ms))
        if beginning is None:
            return
        await writer.run(partial(_delete_before, partition_id=partition_id, beginning=beginning))


def _superseded(
    connection: sqlite3.Connection, partition_id: int, tombstones_before_ms: int
) -> tuple[list[tuple[int]], int] | None:
    """Positions to delete, and the offset from which the next pass has work; None when there is none yet."""
    found = connection.execute("SELECT next, cleaned FROM partition WHERE id = ?", (partition_id,)).fetchone()
    if found is None:  # its topic was deleted meanwhile
        return None
    end, cleaned = found
    if cleaned == end:
        return None
    last: dict[bytes, int] = {}
    doomed: list[tuple[int]] = []
    tombstones: dict[bytes, int] = {}
    rows = connection.execute(
        "SELECT position, key, value IS NULL, timestamp_ms FROM record "
        "WHERE position >= ? AND position < ? ORDER BY position",
        (position(partition_id, 0), position(partition_id, end)),
    )
    for place, key, is_null, timestamp_ms in rows:
        before = last.get(key)
        if before is not None:
            doomed.append((before,))
            tombstones.pop(key, None)
        last[key] = place
        if is_null:
            tombstones[key] = timestamp_ms
    for key, timestamp_ms in tombstones.items():
        if timestamp_ms < tombstones_before_ms:
            doomed.append((last.pop(key),))
    kept = [last[key] & OFFSET_MASK for key in tombstones if key in last]
    return doomed, min(kept, default=end)


def _first_kept(connection: sqlite3.Connection, partition_id: int, before_ms: int) -> int | None:
    """The partition's new beginning, at most a slice further on; None when nothing has expired."""
    found = connection.execute("SELECT beginning, next FROM partition WHERE id = ?", (partition_id,)).fetchone()
    if found is None:  # its topic was deleted meanwhile
        return None
    beginning, end = found
    limit = min(beginning + _SLICE, end)
    row = connection.execute(
        "SELECT position FROM record WHERE position >= ? AND position < ? AND timestamp_ms >= ? "
        "ORDER BY position LIMIT 1",
        (position(partition_id, beginning), position(partition_id, limit), before_ms),
    ).fetchone()
    first = limit if row is None else int(row[0]) & OFFSET_MASK
    return first if first > beginning else None


def _delete(batch: Batch, positions: list[tuple[int]]) -> None:
    batch.connection.executemany("DELETE FROM record WHERE position = ?", positions)


def _mark_cleaned(batch: Batch, partition_id: int, cleaned: int) -> None:
    batch.connection.execute("UPDATE partition SET cleaned = ? WHERE id = ?", (cleaned, partition_id))


def _delete_before(batch: Batch, partition_id: int, beginning: int) -> None:
    batch.connection.execute(
        "DELETE FROM record WHERE position >= ? AND position < ?",
        (position(partition_id, 0), position(partition_id, beginning)),
    )
    batch.connection.execute("UPDATE partition SET beginning = ? WHERE id = ?", (beginning, partition_id))

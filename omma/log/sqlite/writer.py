"""Group commit: everything that waits to be written becomes one transaction, on one thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from omma.errors import Absent, Overloaded, WrongState
from omma.log.sqlite.schema import open_writer, position
from omma.sqlite_errors import storage_error

T = TypeVar("T")

MAX_PENDING_BYTES: Final = 64 << 20
"""Beyond this, writers wait until the disk has caught up."""
_OVERHEAD_BYTES: Final = 256


class Batch:
    """What one SQLite transaction writes. A write checks first and changes afterwards: its refusal harms none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._next: dict[int, int] = {}
        self._rows: list[tuple[int, int, bytes, bytes | None]] = []

    def require(self, partition_ids: Iterable[int]) -> None:
        """Raises Absent for a partition whose topic was deleted meanwhile."""
        for partition_id in partition_ids:
            self._end(partition_id)

    def append(self, partition_id: int, key: bytes, value: bytes | None, timestamp_ms: int) -> int:
        """Returns the record's offset. Raises as `require`."""
        offset = self._end(partition_id)
        self._next[partition_id] = offset + 1
        self._rows.append((position(partition_id, offset), timestamp_ms, key, value))
        return offset

    def flush(self) -> dict[int, int]:
        """Write the records; returns the end of each partition that was looked at."""
        # In the order of the b-tree, each of its pages is written once.
        self._rows.sort(key=_position)
        self.connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", self._rows)
        ends = [(end, partition_id) for partition_id, end in self._next.items()]
        self.connection.executemany("UPDATE partition SET next = ? WHERE id = ?", ends)
        return self._next

    def _end(self, partition_id: int) -> int:
        end = self._next.get(partition_id)
        if end is None:
            row = self.connection.execute("SELECT next FROM partition WHERE id = ?", (partition_id,)).fetchone()
            if row is None:
                raise Absent("The log has this topic no more.", field="topic")
            end = self._next[partition_id] = int(row[0])
        return end


Write = Callable[[Batch], T]


@dataclass(slots=True)
class _Pending:
    write: Write[Any]
    result: asyncio.Future[Any]
    size: int


class Writer:
    """Runs writes in the order given. While one transaction reaches the disk, the next one gathers."""

    def __init__(
        self, connection: sqlite3.Connection, executor: ThreadPoolExecutor, on_append: Callable[[dict[int, int]], None]
    ) -> None:
        """on_append: told, on the event loop, the new ends of the partitions that grew, before any writer goes on."""
        self._connection = connection
        self._executor = executor
        self._on_append = on_append
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._flushing: asyncio.Task[None] | None = None
        self._telling = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path, on_append: Callable[[dict[int, int]], None], busy_timeout_seconds: float
    ) -> "Writer":
        """Raises Overloaded, StorageFull, Corrupt, WrongState."""
        executor = ThreadPoolExecutor(1, thread_name_prefix="omma-log-writer")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(
                executor, open_writer, path, busy_timeout_seconds
            )
        except sqlite3.Error as error:
            executor.shutdown(wait=False)
            raise storage_error(error, "The log") or error from None
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(connection, executor, on_append)

    async def run(self, write: Write[T], size: int = 0) -> T:
        """Returns what `write` returned once it is durable. size: bytes that it holds in memory until then.

        A caller that is cancelled meanwhile does not undo its write. Raises StorageFull, Overloaded, and what `write`
        raises.
        """
        while self._pending_bytes > MAX_PENDING_BYTES:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise WrongState("The log is closed.")
        pending = _Pending(write, asyncio.get_running_loop().create_future(), size + _OVERHEAD_BYTES)
        self._pending.append(pending)
        self._pending_bytes += pending.size
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        result: T = await pending.result
        return result

    async def told(self) -> None:
        """Return when the event loop has been told of everything that the file has by now."""
        async with self._telling:
            return

    async def truncate(self) -> None:
        """Move what was written lately to the file itself, and empty the file that it lay in. Raises Overloaded,
        StorageFull, ReplicaDown.
        """
        loop = asyncio.get_running_loop()
        try:
            busy, _, _ = await loop.run_in_executor(self._executor, _checkpoint, self._connection)
        except sqlite3.Error as error:
            raise storage_error(error, "The log") or error from None
        if busy:
            raise Overloaded("The log is being read: its recent writes cannot be moved now.", retry_after_seconds=1.0)

    async def close(self) -> None:
        """Writes what waits, then closes."""
        self._closed = True
        if self._flushing is not None:
            await self._flushing
        await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.close)
        self._executor.shutdown(wait=False)

    async def _flush(self) -> None:
        try:
            while self._pending:
                group, self._pending = self._pending, []
                await self._write(group)
        finally:
            self._flushing = None

    async def _write(self, group: Sequence[_Pending]) -> None:
        """Every writer of the group is answered, whatever is raised: who is not would wait for ever."""
        results: list[Any] = [WrongState("The log was closed while it wrote.")] * len(group)
        try:
            job = partial(_commit, self._connection, [pending.write for pending in group])
            async with self._telling:
                found, ends = await asyncio.get_running_loop().run_in_executor(self._executor, job)
                self._on_append(ends)
            results = found
        except Exception as error:  # noqa: BLE001 - it becomes the answer of each writer of the group
            results = [storage_error(error, "The log") or error] * len(group)
        finally:
            for pending, result in zip(group, results, strict=True):
                self._pending_bytes -= pending.size
                _answer(pending.result, result)
            self._room.set()


def _checkpoint(connection: sqlite3.Connection) -> tuple[int, int, int]:
    row: tuple[int, int, int] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return row


def _commit(connection: sqlite3.Connection, writes: Collection[Write[Any]]) -> tuple[list[Any], dict[int, int]]:
    """One transaction: all of the writes, less those that refuse, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        batch = Batch(connection)
        results = [_attempt(write, batch) for write in writes]
        ends = batch.flush()
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself, as it does when the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results, ends


def _position(row: tuple[int, int, bytes, bytes | None]) -> int:
    return row[0]


def _attempt(write: Write[Any], batch: Batch) -> Any:
    try:
        return write(batch)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - a refusal, which is the answer of this writer alone
        return error


def _answer(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)

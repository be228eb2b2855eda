"""The log on SQLite: time, the disk, other processes, kill -9."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from omma.errors import Absent, Corrupt, Overloaded, StorageFull, TooLarge, WrongState
from omma.log.interface import OffsetOutOfRange, TopicPartition, TopicSpec
from omma.log.sqlite import SqliteLog
from omma.log.sqlite import writer as writer_module
from omma.log.sqlite.compaction import TOMBSTONE_RETENTION_SECONDS
from omma.log.sqlite.producer import MAX_RECORD_BYTES
from tests.clock import Clock

AT = TopicPartition("t", 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def log(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(tmp_path / "log.db", clock=clock, busy_timeout_seconds=0.05)
    yield log
    await log.close()


async def offsets(log: SqliteLog) -> list[int]:
    return [record.offset async for record in log.scan("t")]


async def test_two_logs_have_two_identities(log: SqliteLog, tmp_path: Path) -> None:
    other = await SqliteLog.open(tmp_path / "other.db")
    assert await other.identity() != await log.identity()
    await other.close()


async def test_records_expire_and_old_positions_are_out_of_range(log: SqliteLog, clock: Clock) -> None:
    await log.ensure_topic(TopicSpec("t", 1, retention_seconds=60))
    producer = await log.producer()
    await producer.send_many("t", [(0, b"k", b"old")] * 12_000)
    clock.seconds += 50
    await producer.send("t", 0, b"k", b"young")
    clock.seconds += 11
    await log.compact()
    assert await offsets(log) == [12_000]
    assert await log.beginning_offsets("t") == {0: 12_000}
    consumer = await log.assign({AT: 11_999})
    with pytest.raises(OffsetOutOfRange):
        await consumer.poll(10, 0)
    consumer.seek(AT, 12_000)
    assert [record.value for record in await consumer.poll(10, 0)] == [b"young"]
    clock.seconds += 61
    await log.compact()
    assert await log.beginning_offsets("t") == await log.end_offsets("t") == {0: 12_001}


async def test_tombstones_are_removed_later(log: SqliteLog, clock: Clock) -> None:
    await log.ensure_topic(TopicSpec("t", 1, compacted=True))
    producer = await log.producer()
    await producer.send_many("t", [(0, b"a", b"1"), (0, b"a", None), (0, b"b", b"1"), (0, b"c", None), (0, b"c", b"2")])
    await log.compact()
    assert await offsets(log) == [1, 2, 4]
    clock.seconds += TOMBSTONE_RETENTION_SECONDS + 1
    await log.compact()
    assert await offsets(log) == [2, 4]
    clock.seconds += 10 * TOMBSTONE_RETENTION_SECONDS
    await log.compact()
    assert await offsets(log) == [2, 4]


async def test_timestamps_are_the_clocks(log: SqliteLog, clock: Clock) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send("t", 0, b"k", b"v")
    assert [record.timestamp_ms async for record in log.scan("t")] == [int(clock.seconds * 1000)]


async def test_a_full_disk_writes_nothing_by_halves(log: SqliteLog) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    await producer.send("t", 0, b"k", b"v")
    (pages,) = await log._writer.run(lambda batch: batch.connection.execute("PRAGMA page_count").fetchone())
    await log._writer.run(lambda batch: batch.connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
    with pytest.raises(StorageFull):
        await producer.send_many("t", [(0, b"k", b"v" * 1000)] * 100)
    assert await log.end_offsets("t") == {0: 1}
    await log._writer.run(lambda batch: batch.connection.execute("PRAGMA max_page_count = 100000").fetchone())
    await producer.send_many("t", [(0, b"k", b"v" * 1000)] * 100)
    assert await offsets(log) == list(range(101))


async def test_a_locked_log_is_said_to_be_locked(log: SqliteLog, tmp_path: Path) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Overloaded, match="another process"):
            await producer.send("t", 0, b"k", b"v")
        with pytest.raises(Overloaded, match="another process"):
            await SqliteLog.open(tmp_path / "log.db", busy_timeout_seconds=0.05)
        other.execute("ROLLBACK")
    assert await producer.send("t", 0, b"k", b"v") == 0


async def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(Corrupt):
        await SqliteLog.open(path)
    path.unlink()
    await (await SqliteLog.open(path)).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE log SET format = 99")
    with pytest.raises(WrongState):
        await SqliteLog.open(path)


async def test_a_record_has_a_largest_size(log: SqliteLog) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    with pytest.raises(TooLarge):
        await (await log.producer()).send("t", 0, b"k", bytes(MAX_RECORD_BYTES))


async def test_a_refused_write_harms_no_other_of_its_commit(log: SqliteLog) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    results = await asyncio.gather(
        producer.send("t", 0, b"k", b"1"),
        log.ensure_topic(TopicSpec("t", 2)),
        producer.send("t", 0, b"k", b"2"),
        return_exceptions=True,
    )
    assert [results[0], type(results[1]), results[2]] == [0, WrongState, 1]


async def test_writers_wait_when_the_disk_falls_behind(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_PENDING_BYTES", 10_000)
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    highest = 0

    async def send(number: int) -> None:
        nonlocal highest
        await producer.send("t", 0, b"k", bytes(1000))
        highest = max(highest, log._writer._pending_bytes)

    await asyncio.gather(*[send(i) for i in range(100)])
    assert highest < 13_000
    assert len(await offsets(log)) == 100


KILLED = """
import asyncio, sys
from pathlib import Path
from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog

async def main():
    log = await SqliteLog.open(Path(sys.argv[1]))
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    async def send(worker):
        for i in range(10**9):
            print(await producer.send("t", 0, b"%d" % worker, b"%d" % i), worker, i, flush=True)
    await asyncio.gather(*[send(worker) for worker in range(4)])

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()[:-1]  # the last one may be cut
    acknowledged = {int(offset): (worker, i) for offset, worker, i in map(str.split, lines)}
    log = await SqliteLog.open(path)
    found = {r.offset: (r.key.decode(), (r.value or b"").decode()) async for r in log.scan("t")}
    await log.close()
    assert len(acknowledged) >= 300
    assert acknowledged.items() <= found.items()
    assert list(found) == list(range(len(found)))


async def test_who_cannot_claim_what_it_gets_keeps_nothing_of_it(log: SqliteLog) -> None:
    """As an indexer that starts on a full disk: what it had got was nobody's until the process ended."""
    await log.ensure_topic(TopicSpec("t", 4))

    async def claim(_: Sequence[TopicPartition]) -> None:
        raise StorageFull("The log cannot grow: the disk is full.")

    for _ in range(3):
        with pytest.raises(StorageFull):
            await log.subscribe("t", "g", claim)
    consumer = await log.subscribe("t", "g")
    assert len(consumer.assignment()) == 4
    await consumer.close()


async def test_a_topic_is_deleted_under_writers_that_never_pause_and_who_are_told(log: SqliteLog) -> None:
    for name in ("t", "other"):
        await log.ensure_topic(TopicSpec(name, 2))
    plain, worker = await log.producer(), await log.producer("worker")
    await plain.send_many("t", [(i % 2, b"k", bytes(100)) for i in range(12_000)])
    reader, member = await log.assign({AT: 0}), await log.subscribe("t", "group")

    async def write() -> None:
        while True:
            await asyncio.gather(*[plain.send("t", i % 2, b"k", bytes(100)) for i in range(50)])

    async def transact() -> None:
        while True:
            async with worker.transaction() as transaction:
                await transaction.send("other", 0, b"k", b"v")
                await transaction.send("t", 0, b"k", b"v")

    async def read() -> None:
        while True:
            await reader.poll(100, 0)

    async with asyncio.timeout(20):
        busy = [asyncio.create_task(one()) for one in (write, transact, read)]
        await asyncio.sleep(0)
        await log.delete_topic("t")
        for task in busy:
            with pytest.raises(Absent):
                await task
        with pytest.raises(Absent):
            await member.poll(1, 0)
        for consumer in (reader, member):
            await consumer.close()
        await log.ensure_topic(TopicSpec("t", 3))
        assert await plain.send("t", 2, b"k", b"new") == 0
        assert await plain.send("other", 1, b"k", b"v") == 0
        assert await values_of(log, "t") == [b"new"], "nothing of the former one"
        assert len((await log.subscribe("t", "group")).assignment()) == 3


async def values_of(log: SqliteLog, topic: str) -> list[bytes | None]:
    return [record.value async for record in log.scan(topic)]


async def test_a_transaction_to_a_topic_that_goes_meanwhile_writes_nothing_by_halves(log: SqliteLog) -> None:
    for name in ("t", "other"):
        await log.ensure_topic(TopicSpec(name, 1))
    worker = await log.producer("worker")
    with pytest.raises(Absent):
        async with worker.transaction() as transaction:
            await transaction.send("other", 0, b"k", b"v")
            await transaction.send("t", 0, b"k", b"v")
            deleting = asyncio.create_task(log.delete_topic("t"))
            await asyncio.sleep(0)  # its turn in the writer is before the commit's
    await deleting
    assert await log.end_offsets("other") == {0: 0}


async def test_what_a_crash_left_of_a_deleted_topic_goes_when_the_log_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await SqliteLog.open(tmp_path / "log.db")
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send("t", 0, b"k", b"v")

    async def dies(self: SqliteLog, ids: range) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(SqliteLog, "_delete_records", dies)
        await log.delete_topic("t")
    await log.close()
    log = await SqliteLog.open(tmp_path / "log.db")
    assert await log.topics() == []
    assert await log._readers.run(lambda c: c.execute("SELECT count(*) FROM record").fetchone()) == (0,)
    await log.close()


async def test_whatever_a_commit_meets_its_writers_are_answered_and_later_ones_write(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()

    def breaks(ends: dict[int, int]) -> None:
        raise KeyError("a bug")

    async with asyncio.timeout(20):
        with monkeypatch.context() as patched:
            patched.setattr(log._writer, "_on_append", breaks)
            for answer in await asyncio.gather(
                *[producer.send("t", 0, b"k", b"v") for _ in range(3)], return_exceptions=True
            ):
                assert isinstance(answer, KeyError)
        assert await producer.send("t", 0, b"k", b"v") == 3
        stopped = asyncio.ensure_future(producer.send("t", 0, b"k", b"v"))
        await asyncio.sleep(0)
        assert log._writer._flushing is not None
        await asyncio.sleep(0)
        log._writer._flushing.cancel()
        with pytest.raises(WrongState):
            await stopped
        assert await producer.send("t", 0, b"k", b"v") in (4, 5), "the one that was stopped is written or not"


async def test_who_sees_an_offset_sees_what_was_written_with_it(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has both at once; what this process knows of the ends comes after, when the loop is busy much later."""
    await log.ensure_topic(TopicSpec("t", 1))
    await log.ensure_topic(TopicSpec("out", 1))
    producer = await log.producer("writer")
    commit, durable, heard = writer_module._commit, threading.Event(), threading.Event()

    def heard_of_later(*args: Any) -> Any:
        done = commit(*args)
        durable.set()
        heard.wait(10)
        return done

    async def written() -> None:
        async with producer.transaction() as transaction:
            await transaction.send("out", 0, b"k", b"v")
            await transaction.send_offsets("g", {AT: 1})

    monkeypatch.setattr(writer_module, "_commit", heard_of_later)
    async with asyncio.TaskGroup() as group:
        group.create_task(written())
        await asyncio.to_thread(durable.wait, 10)
        asyncio.get_running_loop().call_later(0.1, heard.set)
        assert await log.committed("g", "t") == {0: 1}
        assert await log.end_offsets("out") == {0: 1}

"""What every log keeps: Kafka's semantics. A backend joins by one more parameter of the fixture."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from omma.errors import Absent, ConcurrentWrite, InvalidQuery, WrongState
from omma.log.interface import Consumer, Log, LogRecord, OffsetOutOfRange, ProducerFenced, TopicPartition, TopicSpec
from omma.log.sqlite import SqliteLog

PLENTY = 10.0


class Backend:
    """A log that can be left and opened again; everything opened is closed with the test."""

    def __init__(self, open_log: Callable[[], Awaitable[Log]]) -> None:
        self._open_log = open_log
        self._opened: list[Log] = []

    async def open(self) -> Log:
        self._opened.append(await self._open_log())
        return self._opened[-1]

    async def close(self) -> None:
        for log in self._opened:
            await log.close()


@pytest.fixture(params=["sqlite"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    backend = {"sqlite": lambda: Backend(lambda: SqliteLog.open(tmp_path / "log.db"))}[request.param]()
    yield backend
    await backend.close()


@pytest.fixture
async def log(backend: Backend) -> Log:
    return await backend.open()


async def drain(consumer: Consumer, count: int) -> list[LogRecord]:
    """Exactly count records, or what came before the consumer fell silent."""
    records: list[LogRecord] = []
    while len(records) < count and (found := await consumer.poll(100, PLENTY)):
        records += found
    return records


async def all_of(log: Log, topic: str) -> list[tuple[int, int, bytes, bytes | None]]:
    return [(r.partition, r.offset, r.key, r.value) async for r in log.scan(topic)]


async def test_identity_stays_with_the_log(backend: Backend) -> None:
    log = await backend.open()
    identity = await log.identity()
    await log.close()
    assert await (await backend.open()).identity() == identity != ""


async def test_topics_are_made_once_and_checked(log: Log) -> None:
    spec = TopicSpec("pictures", 3, compacted=True)
    await log.ensure_topic(spec)
    await log.ensure_topic(spec)
    assert list(await log.topics()) == [spec]
    for other in (TopicSpec("pictures", 4, compacted=True), TopicSpec("pictures", 3)):
        with pytest.raises(WrongState):
            await log.ensure_topic(other)
    for name in ("", "a/b", "ä", "a" * 250):
        with pytest.raises(InvalidQuery):
            await log.ensure_topic(TopicSpec(name, 1))


async def test_what_is_not_there_is_absent(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 2))
    producer = await log.producer()
    with pytest.raises(Absent):
        await producer.send("other", 0, b"k", b"v")
    with pytest.raises(Absent):
        await producer.send("t", 2, b"k", b"v")
    with pytest.raises(Absent):
        await log.end_offsets("other")


async def test_offsets_rise_from_zero_in_each_partition(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 2))
    producer = await log.producer()
    assert [await producer.send("t", 0, b"a", b"%d" % i) for i in range(3)] == [0, 1, 2]
    assert await producer.send("t", 1, b"", None) == 0
    assert await log.beginning_offsets("t") == {0: 0, 1: 0}
    assert await log.end_offsets("t") == {0: 3, 1: 1}
    assert await all_of(log, "t") == [(0, 0, b"a", b"0"), (0, 1, b"a", b"1"), (0, 2, b"a", b"2"), (1, 0, b"", None)]


async def test_sends_that_wait_together_all_arrive_once(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 4))
    producer = await log.producer()
    offsets = await asyncio.gather(*[producer.send("t", i % 4, b"k", b"%d" % i) for i in range(200)])
    await producer.send_many("t", [(i % 4, b"k", b"%d" % i) for i in range(200, 400)])
    assert sorted(offsets) == sorted(list(range(50)) * 4)
    values = [value for _, _, _, value in await all_of(log, "t")]
    assert sorted(int(value or b"") for value in values) == list(range(400))


async def test_a_transaction_is_visible_as_a_whole_with_its_offsets(log: Log) -> None:
    await log.ensure_topic(TopicSpec("in", 1))
    await log.ensure_topic(TopicSpec("out", 2))
    producer = await log.producer("worker")
    async with producer.transaction() as transaction:
        await transaction.send("out", 0, b"k", b"1")
        await transaction.send("out", 1, b"k", b"2")
        await transaction.send_offsets("group", {TopicPartition("in", 0): 7})
        assert await all_of(log, "out") == []
        assert await log.committed("group", "in") == {}
    assert [value for _, _, _, value in await all_of(log, "out")] == [b"1", b"2"]
    assert await log.committed("group", "in") == {0: 7}
    assert await log.committed("other", "in") == {}


async def test_an_aborted_transaction_leaves_nothing(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer("worker")
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with producer.transaction() as transaction:
            await transaction.send("t", 0, b"k", b"lost")
            await transaction.send_offsets("group", {TopicPartition("t", 0): 1})
            raise RuntimeError("changed my mind")
    async with producer.transaction() as transaction:
        await transaction.send("t", 0, b"k", b"kept")
    assert [value for _, _, _, value in await all_of(log, "t")] == [b"kept"]
    assert await log.committed("group", "t") == {}


async def test_a_newer_producer_fences_the_older(backend: Backend) -> None:
    log = await backend.open()
    await log.ensure_topic(TopicSpec("t", 1))
    older, other = await log.producer("worker"), await log.producer("another")
    newer = await log.producer("worker")
    with pytest.raises(ProducerFenced):
        async with older.transaction() as transaction:
            await transaction.send("t", 0, b"k", b"zombie")
            await transaction.send_offsets("group", {TopicPartition("t", 0): 1})
    for producer in (newer, other):
        async with producer.transaction() as transaction:
            await transaction.send("t", 0, b"k", b"alive")
    assert [value for _, _, _, value in await all_of(log, "t")] == [b"alive", b"alive"]
    assert await log.committed("group", "t") == {}


async def test_each_kind_of_producer_writes_in_its_own_way(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    with pytest.raises(WrongState):
        async with (await log.producer()).transaction():
            pass
    transactional = await log.producer("worker")
    with pytest.raises(WrongState):
        await transactional.send("t", 0, b"k", b"v")
    async with transactional.transaction():
        with pytest.raises(WrongState):
            async with transactional.transaction():
                pass


async def test_a_group_goes_on_where_it_committed(backend: Backend) -> None:
    log = await backend.open()
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send_many("t", [(0, b"k", b"%d" % i) for i in range(5)])
    at = TopicPartition("t", 0)
    consumer = await log.subscribe("t", "group")
    assert [record.offset for record in await consumer.poll(2, PLENTY)] == [0, 1]
    await consumer.commit({at: 2})
    assert [record.offset for record in await consumer.poll(2, PLENTY)] == [2, 3]
    await log.close()
    log = await backend.open()
    assert await log.committed("group", "t") == {0: 2}
    consumer = await log.subscribe("t", "group")
    assert consumer.position(at) == 2
    assert [record.offset for record in await consumer.poll(10, PLENTY)] == [2, 3, 4]
    assert [r.offset for r in await drain(await log.subscribe("t", "newcomers"), 5)] == [0, 1, 2, 3, 4]


async def test_members_of_a_group_share_partitions(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 4))
    first, second = await log.subscribe("t", "group"), await log.subscribe("t", "group")
    assert len(first.assignment()) == 4
    for _ in range(2):
        await first.poll(10, 0)
        await second.poll(10, 0)
    assert len(first.assignment()) == len(second.assignment()) == 2
    assert not set(first.assignment()) & set(second.assignment())
    await (await log.producer()).send_many("t", [(i % 4, b"k", b"%d" % i) for i in range(40)])
    values = [r.value for r in await drain(first, 20) + await drain(second, 20)]
    assert sorted(int(value or b"") for value in values) == list(range(40))


async def test_a_partition_changes_hands_only_when_its_owner_lets_go(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 2))
    await (await log.producer()).send_many("t", [(0, b"k", b"0"), (1, b"k", b"1")])
    first = await log.subscribe("t", "group")
    assert len(await drain(first, 2)) == 2
    second = await log.subscribe("t", "group")
    assert await second.poll(10, 0) == []
    await first.commit({TopicPartition("t", 0): 1, TopicPartition("t", 1): 1})
    waiting = asyncio.create_task(second.poll(10, PLENTY))
    assert await first.poll(10, 0) == []
    (moved,) = {TopicPartition("t", 0), TopicPartition("t", 1)} - set(first.assignment())
    with pytest.raises(ConcurrentWrite):
        await first.commit({moved: 0})
    await (await log.producer()).send("t", moved.partition, b"k", b"later")
    assert [record.value for record in await waiting] == [b"later"]
    await first.close()
    await second.poll(10, 0)
    assert len(second.assignment()) == 2


async def test_assign_reads_exactly_what_it_is_given(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 3))
    await (await log.producer()).send_many("t", [(p, b"k", b"%d" % i) for p in range(3) for i in range(4)])
    consumer = await log.assign({TopicPartition("t", 0): 3, TopicPartition("t", 2): 1})
    records = await drain(consumer, 4)
    assert sorted((r.partition, r.offset) for r in records) == [(0, 3), (2, 1), (2, 2), (2, 3)]
    assert consumer.position(TopicPartition("t", 2)) == 4
    assert await consumer.poll(10, 0) == []
    with pytest.raises(WrongState):
        await consumer.commit({TopicPartition("t", 0): 1})
    with pytest.raises(WrongState):
        consumer.position(TopicPartition("t", 1))


@pytest.mark.parametrize("offset", [-1, 3, 99])
async def test_a_position_that_the_log_does_not_have_is_out_of_range(log: Log, offset: int) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send_many("t", [(0, b"k", b"v")] * 2)
    consumer = await log.assign({TopicPartition("t", 0): offset})
    with pytest.raises(OffsetOutOfRange) as caught:
        await consumer.poll(10, 0)
    assert (caught.value.at, caught.value.offset) == (TopicPartition("t", 0), offset)


async def test_pause_resume_and_seek(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 2))
    await (await log.producer()).send_many("t", [(p, b"k", b"%d" % i) for p in range(2) for i in range(3)])
    zero, one = TopicPartition("t", 0), TopicPartition("t", 1)
    consumer = await log.assign({zero: 0, one: 0})
    consumer.pause([zero])
    assert {record.partition for record in await drain(consumer, 3)} == {1}
    assert await consumer.poll(10, 0) == []
    consumer.resume([zero])
    assert {record.partition for record in await drain(consumer, 3)} == {0}
    consumer.seek(one, 1)
    assert [(r.partition, r.offset) for r in await drain(consumer, 2)] == [(1, 1), (1, 2)]


async def test_poll_sleeps_until_there_is_something(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    consumer = await log.assign({TopicPartition("t", 0): 0})
    polling = asyncio.create_task(consumer.poll(10, 60.0))
    await asyncio.wait([polling], timeout=0.05)
    assert not polling.done()
    await (await log.producer()).send("t", 0, b"k", b"v")
    async with asyncio.timeout(PLENTY):
        assert [record.value for record in await polling] == [b"v"]
        assert await consumer.poll(10, 0.02) == []


async def test_no_partition_starves(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 3))
    await (await log.producer()).send_many("t", [(p, b"k", b"v") for p in range(3) for _ in range(30)])
    consumer = await log.assign({TopicPartition("t", p): 0 for p in range(3)})
    first = [record for _ in range(3) for record in await consumer.poll(5, 0)]
    assert {record.partition for record in first} == {0, 1, 2}


async def test_compaction_keeps_the_last_record_of_each_key(backend: Backend) -> None:
    log = await backend.open()
    await log.ensure_topic(TopicSpec("t", 1, compacted=True))
    producer = await log.producer()
    for key, value in [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", None), (b"b", b"2"), (b"b", b"3")]:
        await producer.send("t", 0, key, value)
    reader = await log.assign({TopicPartition("t", 0): 1})
    await log.compact()
    kept = [(0, 2, b"a", b"2"), (0, 3, b"c", None), (0, 5, b"b", b"3")]
    assert await all_of(log, "t") == kept
    assert await log.end_offsets("t") == {0: 6}
    # A reader in a gap goes on behind it.
    assert [record.offset for record in await drain(reader, 3)] == [2, 3, 5]
    assert await producer.send("t", 0, b"a", b"4") == 6
    await log.close()
    log = await backend.open()
    await log.compact()
    assert await all_of(log, "t") == [*kept[1:], (0, 6, b"a", b"4")]


async def test_other_topics_are_not_compacted(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send_many("t", [(0, b"k", b"1"), (0, b"k", b"2")])
    await log.compact()
    assert len(await all_of(log, "t")) == 2


async def test_scan_ends_where_the_log_ended_when_it_began(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    await producer.send_many("t", [(0, b"k", b"v")] * 3)
    seen = 0
    async for _ in log.scan("t"):
        seen += 1
        await producer.send("t", 0, b"k", b"more")
    assert seen == 3


async def test_a_closed_log_says_so(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    consumer, producer = await log.assign({TopicPartition("t", 0): 0}), await log.producer()
    polling = asyncio.create_task(consumer.poll(1, 60.0))
    await asyncio.wait([polling], timeout=0.02)
    await log.close()
    with pytest.raises(WrongState):
        await polling
    with pytest.raises(WrongState):
        await producer.send("t", 0, b"k", b"v")
    await log.close()

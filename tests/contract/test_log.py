"""What every log keeps: Kafka's semantics. A backend joins by one more parameter of the fixture."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from omma.errors import Absent, ConcurrentWrite, InvalidQuery, WrongState
from omma.log.interface import Consumer, Log, LogRecord, OffsetOutOfRange, ProducerFenced, TopicPartition, TopicSpec
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.log.sqlite import SqliteLog
from tests.parts import Kafka

PLENTY = 10.0


class Backend:
    """A log that can be left and opened again; everything opened is closed with the test."""

    def __init__(
        self, open_log: Callable[[], Awaitable[Log]], make_compactable: Callable[[str], Awaitable[None]]
    ) -> None:
        """make_compactable: sees to it that what is written to a topic from now on can be compacted at once."""
        self.make_compactable = make_compactable
        self._open_log = open_log
        self._opened: list[Log] = []

    async def open(self) -> Log:
        self._opened.append(await self._open_log())
        return self._opened[-1]

    async def close(self) -> None:
        for log in self._opened:
            await log.close()


def sqlite_backend(folder: Path) -> Backend:
    async def nothing(topic: str) -> None:
        """`compact` is all it takes."""

    return Backend(lambda: SqliteLog.open(folder / "log.db"), nothing)


def kafka_backend(part: Kafka) -> Backend:
    """A prefix of its own on the session's broker. Fetches wait shorter, and bring less, than in production."""
    settings = KafkaSettings(
        brokers=part.brokers,
        prefix=f"{uuid.uuid4().hex}.",
        fetch_wait_seconds=0.1,
        partition_fetch_bytes=1_024,
        session_seconds=3.0,
    )

    async def clean_soon(topic: str) -> None:
        # A segment a record, as the cleaner leaves only the newest alone.
        soon = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0.0"}
        admin = AIOKafkaAdminClient(bootstrap_servers=part.brokers)
        await admin.start()
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.prefix + topic, soon)])
        await admin.close()

    return Backend(lambda: KafkaLog.open(settings), clean_soon)


@pytest.fixture(params=["sqlite", "kafka"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    on_kafka = request.param == "kafka"
    backend = kafka_backend(request.getfixturevalue("kafka")) if on_kafka else sqlite_backend(tmp_path)
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


async def eventually(so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(3 * PLENTY):
        while not await so():  # noqa: ASYNC110 - a server's doing sets no event here
            await asyncio.sleep(0.02)


async def share_out(consumers: Sequence[Consumer], partitions: int) -> None:
    """Poll the members of a group together until the partitions are theirs in equal shares; nothing may come."""

    async def shared() -> bool:
        assert await asyncio.gather(*[consumer.poll(10, 0.05) for consumer in consumers]) == [[]] * len(consumers)
        return [len(consumer.assignment()) for consumer in consumers] == [partitions // len(consumers)] * len(consumers)

    await eventually(shared)


async def values_are(log: Log, topic: str, values: list[bytes]) -> bool:
    return [value for _, _, _, value in await all_of(log, topic)] == values


async def committed_is(log: Log, group: str, topic: str, offsets: dict[int, int]) -> bool:
    return await log.committed(group, topic) == offsets


async def all_of(log: Log, topic: str) -> list[tuple[int, int, bytes, bytes | None]]:
    return [(r.partition, r.offset, r.key, r.value) async for r in log.scan(topic)]


async def test_identity_stays_with_the_log(backend: Backend) -> None:
    log = await backend.open()
    identity = await log.identity()
    await log.close()
    again = await backend.open()
    assert await again.identity() == identity != ""
    with pytest.raises(Absent):
        await again.identity("t")
    await again.ensure_topic(TopicSpec("t", 1))
    of_topic = await again.identity("t")
    assert await (await backend.open()).identity("t") == of_topic != ""


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
    await eventually(partial(values_are, log, "out", [b"1", b"2"]))
    await eventually(partial(committed_is, log, "group", "in", {0: 7}))
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
    await eventually(partial(values_are, log, "t", [b"kept"]))
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
    await eventually(partial(values_are, log, "t", [b"alive", b"alive"]))
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
    assert [record.offset for record in await consumer.poll(1, PLENTY)] == [2]
    assert consumer.position(at) == 3
    assert [record.offset for record in await drain(consumer, 2)] == [3, 4]
    assert [r.offset for r in await drain(await log.subscribe("t", "newcomers"), 5)] == [0, 1, 2, 3, 4]


async def test_members_of_a_group_share_partitions(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 4))
    first, second = await log.subscribe("t", "group"), await log.subscribe("t", "group")
    await share_out([first, second], 4)
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
    assert await second.poll(10, 0.5) == []
    assert not second.assignment()
    await first.commit({TopicPartition("t", 0): 1, TopicPartition("t", 1): 1})
    await share_out([first, second], 2)
    (moved,) = second.assignment()
    assert moved not in first.assignment()
    with pytest.raises(ConcurrentWrite):
        await first.commit({moved: 0})
    await (await log.producer()).send("t", moved.partition, b"k", b"later")
    assert [record.value for record in await second.poll(10, PLENTY)] == [b"later"]
    await second.commit({moved: 2})
    await first.close()
    await share_out([second], 2)


async def test_new_partitions_are_told_of_before_anything_is_read(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 2))
    await (await log.producer()).send_many("t", [(p, b"k", b"%d" % i) for p in range(2) for i in range(4)])
    zero, one = TopicPartition("t", 0), TopicPartition("t", 1)
    told: list[Sequence[TopicPartition]] = []
    older = await log.producer("writer")

    async def take_over(partitions: Sequence[TopicPartition]) -> None:
        # What the one before had under way is committed, or fenced, only now.
        told.append(partitions)
        async with older.transaction() as transaction:
            await transaction.send_offsets("group", {zero: 3})
        await log.producer("writer")

    consumer = await log.subscribe("t", "group", take_over)
    records = await drain(consumer, 5)
    assert told == [[zero, one]]
    assert sorted((r.partition, r.offset) for r in records) == [(0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]


async def test_assign_reads_exactly_what_it_is_given(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 3))
    await (await log.producer()).send_many("t", [(p, b"k", b"%d" % i) for p in range(3) for i in range(4)])
    consumer = await log.assign({TopicPartition("t", 0): 3, TopicPartition("t", 2): 1})
    records = await drain(consumer, 4)
    assert sorted((r.partition, r.offset) for r in records) == [(0, 3), (2, 1), (2, 2), (2, 3)]
    assert consumer.position(TopicPartition("t", 2)) == 4
    assert await consumer.poll(10, 0.05) == []
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
        await consumer.poll(10, PLENTY)
    assert (caught.value.at, caught.value.offset) == (TopicPartition("t", 0), offset)


async def test_pause_resume_and_seek(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 2))
    await (await log.producer()).send_many("t", [(p, b"k", b"%d" % i) for p in range(2) for i in range(3)])
    zero, one = TopicPartition("t", 0), TopicPartition("t", 1)
    consumer = await log.assign({zero: 0, one: 0})
    consumer.pause([zero])
    assert {record.partition for record in await drain(consumer, 3)} == {1}
    assert await consumer.poll(10, 0.05) == []
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
    producer = await log.producer()
    for _ in range(20):
        await asyncio.gather(*[producer.send("t", p, b"k", bytes(300)) for p in range(3)])
    consumer = await log.assign({TopicPartition("t", p): 0 for p in range(3)})
    first = [record for _ in range(4) for record in await consumer.poll(5, PLENTY)]
    assert {record.partition for record in first} == {0, 1, 2}


async def test_compaction_keeps_the_last_record_of_each_key(backend: Backend) -> None:
    log = await backend.open()
    await log.ensure_topic(TopicSpec("t", 1, compacted=True))
    await backend.make_compactable("t")
    producer = await log.producer()
    written = [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", None), (b"b", b"2"), (b"b", b"3"), (b"d", b"1")]
    for key, value in written:
        await producer.send("t", 0, key, value)
    kept = [(0, 2, b"a", b"2"), (0, 3, b"c", None), (0, 5, b"b", b"3"), (0, 6, b"d", b"1")]
    await compacted_to(log, kept)
    assert await log.end_offsets("t") == {0: 7}
    # A reader in a gap goes on behind it.
    reader = await log.assign({TopicPartition("t", 0): 1})
    assert [record.offset for record in await drain(reader, 4)] == [2, 3, 5, 6]
    assert await producer.send("t", 0, b"a", b"4") == 7
    # Kafka compares nothing with the newest segment: something has to follow.
    assert await producer.send("t", 0, b"e", b"1") == 8
    await log.close()
    await compacted_to(await backend.open(), [*kept[1:], (0, 7, b"a", b"4"), (0, 8, b"e", b"1")])


async def compacted_to(log: Log, kept: Sequence[tuple[int, int, bytes, bytes | None]]) -> None:
    """Kafka's cleaner goes by its own clock."""

    async def cleaned() -> bool:
        await log.compact()
        return await all_of(log, "t") == kept

    await eventually(cleaned)


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

"""What every log keeps: Kafka's semantics. A backend joins by one more parameter of the fixture."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from omma.errors import Absent, InvalidQuery, ReplicaDown, WrongState
from omma.log.interface import Log, ProducerFenced, TopicPartition, TopicSpec
from tests.contract.logs import PLENTY, LogBackend, all_of, committed_is, drain, send_apart, values_are
from tests.waiting import eventually


async def test_identity_stays_with_the_log(log_backend: LogBackend) -> None:
    log = await log_backend.open()
    identity = await log.identity()
    await log.close()
    again = await log_backend.open()
    assert await again.identity() == identity != ""
    with pytest.raises(Absent):
        await again.identity("t")
    await again.ensure_topic(TopicSpec("t", 1))
    of_topic = await again.identity("t")
    assert await (await log_backend.open()).identity("t") == of_topic != ""


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
    await eventually(partial(values_are, log, "out", [b"1", b"2"]), 3 * PLENTY)
    await eventually(partial(committed_is, log, "group", "in", {0: 7}), 3 * PLENTY)
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
    await eventually(partial(values_are, log, "t", [b"kept"]), 3 * PLENTY)
    assert await log.committed("group", "t") == {}


async def test_a_newer_producer_fences_the_older(log_backend: LogBackend) -> None:
    log = await log_backend.open()
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
    await eventually(partial(values_are, log, "t", [b"alive", b"alive"]), 3 * PLENTY)
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


async def test_compaction_keeps_the_last_record_of_each_key(log_backend: LogBackend) -> None:
    spec = TopicSpec("t", 1, compacted=True)
    await log_backend.make_small_files(spec)
    log = await log_backend.open()
    await log.ensure_topic(spec)
    producer = await log.producer()
    # Kafka compares nothing with the newest segment: something has to follow.
    written = [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", None), (b"b", b"2"), (b"b", b"3"), (b"d", b"1")]
    await send_apart(producer, "t", written)
    kept = [(0, 2, b"a", b"2"), (0, 3, b"c", None), (0, 5, b"b", b"3"), (0, 6, b"d", b"1")]
    await compacted_to(log, kept)
    assert await log.end_offsets("t") == {0: 7}
    # A reader in a gap goes on behind it.
    reader = await log.assign({TopicPartition("t", 0): 1})
    assert [record.offset for record in await drain(reader, 4)] == [2, 3, 5, 6]
    # Something has to follow, as above.
    await send_apart(producer, "t", [(b"a", b"4"), (b"e", b"1")])
    await log.close()
    await compacted_to(await log_backend.open(), [*kept[1:], (0, 7, b"a", b"4"), (0, 8, b"e", b"1")])


async def compacted_to(log: Log, kept: Sequence[tuple[int, int, bytes, bytes | None]]) -> None:
    """Kafka's cleaner goes by its own clock."""

    async def cleaned() -> bool:
        await log.compact()
        return await all_of(log, "t") == kept

    await eventually(cleaned, 3 * PLENTY)


async def test_other_topics_are_not_compacted(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send_many("t", [(0, b"k", b"1"), (0, b"k", b"2")])
    await log.compact()
    assert len(await all_of(log, "t")) == 2


async def test_a_topic_that_forgot_keeps_the_last_record_of_each_key_from_then_on(log_backend: LogBackend) -> None:
    spec = TopicSpec("t", 1)
    await log_backend.make_small_files(spec)
    log = await log_backend.open()
    await log.ensure_topic(spec)
    producer = await log.producer()
    # Kafka compares nothing with the newest segment: something has to follow.
    await send_apart(producer, "t", [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1")])
    for _ in range(2):
        await log.make_compacted("t")

    async def is_compacted() -> bool:
        return [(spec.partitions, spec.compacted) for spec in await log.topics()] == [(1, True)]

    await eventually(is_compacted, 3 * PLENTY)
    await log.ensure_topic(TopicSpec("t", 1, compacted=True))
    with pytest.raises(Absent):
        await log.make_compacted("other")
    await log.close()
    log = await log_backend.open()
    assert await is_compacted()
    await compacted_to(log, [(0, 1, b"b", b"1"), (0, 2, b"a", b"2"), (0, 3, b"c", b"1")])


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


async def test_a_topic_that_is_deleted_is_gone_and_begins_anew(log: Log) -> None:
    spec = TopicSpec("t", 2, compacted=True)
    await log.ensure_topic(spec)
    await log.ensure_topic(TopicSpec("kept", 1))
    producer = await log.producer()
    await producer.send("t", 1, b"k", b"v")
    await producer.send("kept", 0, b"k", b"v")
    before = await log.identity("t")
    await log.delete_topic("t")
    await log.delete_topic("t")

    async def is_gone() -> bool:
        return [one.name for one in await log.topics()] == ["kept"]

    await eventually(is_gone, 3 * PLENTY)
    with pytest.raises(Absent):
        await log.end_offsets("t")
    await log.ensure_topic(spec)
    assert dict(await log.end_offsets("t")) == {0: 0, 1: 0}
    assert await log.identity("t") != before, "whoever knows the former one replays"
    assert await producer.send("t", 0, b"k", b"new") == 0
    assert dict(await log.end_offsets("kept")) == {0: 1}


async def test_a_topic_is_deleted_beside_its_writer_who_is_told(log: Log) -> None:
    for name in ("t", "kept"):
        await log.ensure_topic(TopicSpec(name, 1))
    producer = await log.producer()

    async def write() -> None:
        while True:
            await producer.send("t", 0, b"k", b"v")

    writing = asyncio.create_task(write())
    await asyncio.wait([writing], timeout=0.05)
    async with asyncio.timeout(6 * PLENTY):
        await log.delete_topic("t")
        # Kafka's producer may take the topic for one that comes back, until it gives the write up.
        with pytest.raises((Absent, ReplicaDown)):
            await writing
        await producer.send("kept", 0, b"k", b"v")


async def test_a_group_is_forgotten_once_it_has_no_members(log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    await producer.send("t", 0, b"k", b"v")
    at = TopicPartition("t", 0)
    member = await log.subscribe("t", "g")
    (record,) = await drain(member, 1)
    await member.commit({at: record.offset + 1})
    assert not await log.delete_group("g")
    assert dict(await log.committed("g", "t")) == {0: 1}
    await member.close()

    async def is_deleted() -> bool:
        return await log.delete_group("g")

    await eventually(is_deleted, 3 * PLENTY)
    assert await log.delete_group("g"), "one that there is not is no fault"
    assert dict(await log.committed("g", "t")) == {}


async def test_what_is_superseded_leaves_the_disk_while_a_topic_is_purged(log: Log) -> None:
    await log.ensure_topic(TopicSpec("vectors", 2, compacted=True))
    producer = await log.producer()
    for value in (b"the picture", b"deleted"):
        await producer.send("vectors", 0, b"key", value)
    async with log.purging("vectors") as purge:

        async def only_the_last_is_left() -> bool:
            await producer.send("vectors", 0, b"another key", b"")
            await purge()
            return b"the picture" not in [value for _, _, _, value in await all_of(log, "vectors")]

        await eventually(only_the_last_is_left, 3 * PLENTY)
    assert b"deleted" in [value for _, _, _, value in await all_of(log, "vectors")]
    with pytest.raises(Absent):
        async with log.purging("no-such-topic"):
            pass

"""Kafka's own failures, each caused for real: a broker killed, hung and made anew, a zombie, a rebalance under way."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from deploy.parts import Kafka
from omma.errors import ConcurrentWrite, ReplicaDown
from omma.log.interface import Consumer, Log, LogRecord, OffsetOutOfRange, ProducerFenced, TopicPartition, TopicSpec
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from tests.waiting import eventually

PLENTY = 20.0


@pytest.fixture
def settings(kafka: Kafka) -> KafkaSettings:
    return KafkaSettings(
        brokers=kafka.brokers,
        prefix=f"{uuid.uuid4().hex}.",
        fetch_wait_seconds=0.5,
        request_seconds=2.0,
        delivery_seconds=2.0,
        silence_seconds=1.0,
        session_seconds=3.0,
    )


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[Log]:
    log = await KafkaLog.open(settings)
    yield log
    await log.close()


@pytest.fixture
async def admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.brokers)
    await admin.start()
    yield admin
    await admin.close()


async def until_written(at: KafkaPartition, settings: KafkaSettings) -> None:
    """The broker has a record there, committed or not."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.brokers, isolation_level="read_uncommitted")
    await consumer.start()
    try:

        async def is_written() -> bool:
            return bool((await consumer.end_offsets([at]))[at])

        await eventually(is_written, PLENTY)
    finally:
        await consumer.stop()


async def read(consumer: Consumer, count: int) -> list[LogRecord]:
    """So many records, however often the broker cannot be asked."""
    records: list[LogRecord] = []
    async with asyncio.timeout(3 * PLENTY):
        while len(records) < count:
            try:
                records += await consumer.poll(100, 1.0)
            except ReplicaDown:
                continue
    return records


async def values(log: Log, topic: str) -> list[bytes | None]:
    return [record.value async for record in log.scan(topic)]


async def insist(log: Log, topic: str, value: bytes) -> None:
    producer = await log.producer()
    async with asyncio.timeout(3 * PLENTY):
        while True:
            try:
                await producer.send(topic, 0, b"k", value)
            except ReplicaDown:
                continue
            return


async def test_a_killed_broker_is_an_error_in_time_and_then_goes_on(kafka: Kafka, log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    at = TopicPartition("t", 0)
    producer, consumer = await log.producer(), await log.assign({at: 0})
    writer = await log.producer("writer")
    await producer.send("t", 0, b"k", b"before")
    assert [record.value for record in await read(consumer, 1)] == [b"before"]
    server = kafka.server
    await asyncio.to_thread(server.kill)
    began = time.monotonic()
    for attempt in (
        producer.send("t", 0, b"k", b"during"),
        log.end_offsets("t"),
        log.assign({at: 0}),
        log.producer("other"),
        _transact(writer, b"transaction"),
        _silent(consumer),
    ):
        with pytest.raises(ReplicaDown):
            await attempt
    assert time.monotonic() - began < 30
    await asyncio.to_thread(server.restart)
    await insist(log, "t", b"after")
    found = [record.value for record in await read(consumer, 1)]
    while b"after" not in found:
        found += [record.value for record in await read(consumer, 1)]
    # The idempotent producer may have delivered late what it had said it could not, but never twice; what was insisted
    # on was sent anew each time.
    assert Counter(found)[b"during"] <= 1
    await _until_committed(log, writer, b"again")
    assert Counter(await values(log, "t"))[b"before"] == 1


async def _transact(writer: object, value: bytes) -> None:
    async with writer.transaction() as transaction:
        await transaction.send("t", 0, b"k", value)


async def _until_committed(log: Log, writer: object, value: bytes) -> None:
    """What an indexer does: the same writer again, another one when it has lost its place."""
    async with asyncio.timeout(3 * PLENTY):
        while True:
            try:
                await _transact(writer, value)
            except ReplicaDown:
                continue
            except ProducerFenced:
                writer = await log.producer("writer")
                continue
            break
        while value not in await values(log, "t"):
            continue


async def _silent(consumer: Consumer) -> None:
    async with asyncio.timeout(PLENTY):
        while True:
            await consumer.poll(10, 0.5)


async def test_a_record_without_a_key_has_an_empty_one(settings: KafkaSettings, log: Log) -> None:
    """Others write such; only a compacted topic refuses them."""
    await log.ensure_topic(TopicSpec("t", 1))
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
    await producer.start()
    await producer.send_and_wait(f"{settings.prefix}t", b"value", partition=0)
    await producer.stop()
    assert [(one.key, one.value) async for one in log.scan("t")] == [(b"", b"value")]


async def test_who_closes_a_consumer_whose_fetches_fail_lives_on(kafka: Kafka, log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    consumers = [await log.assign({TopicPartition("t", 0): 0}) for _ in range(8)]
    for consumer in consumers:
        await consumer.poll(1, 0.1)
    server = kafka.server
    await asyncio.to_thread(server.kill)
    try:
        for consumer in consumers:
            with suppress(ReplicaDown):
                await consumer.poll(1, 0.3)  # a fetch fails, and waits before it is tried again
            await asyncio.create_task(consumer.close())
    finally:
        await asyncio.to_thread(server.restart)


async def test_a_hung_broker_is_an_error_in_time_and_loses_nothing(kafka: Kafka, log: Log) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    producer, consumer = await log.producer(), await log.assign({TopicPartition("t", 0): 0})
    await producer.send("t", 0, b"k", b"before")
    server = kafka.server
    await asyncio.to_thread(server.pause)
    try:
        with pytest.raises(ReplicaDown):
            await producer.send("t", 0, b"k", b"during")
    finally:
        await asyncio.to_thread(server.resume)
    await insist(log, "t", b"after")
    found = [record.value for record in await read(consumer, 2)]
    while b"after" not in found:
        found += [record.value for record in await read(consumer, 1)]
    assert found[0] == b"before"
    assert max(Counter(found).values()) == 1


async def test_a_transaction_that_a_crash_left_open_holds_readers_back_only_until_its_successor(
    settings: KafkaSettings, log: Log
) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    crashed = await KafkaLog.open(settings)
    left_open = (await crashed.producer("writer")).transaction()
    transaction = await left_open.__aenter__()
    await transaction.send("t", 0, b"k", b"lost")
    await until_written(KafkaPartition(f"{settings.prefix}t", 0), settings)
    await (await log.producer()).send("t", 0, b"k", b"plain")
    consumer = await log.assign({TopicPartition("t", 0): 0})
    assert await consumer.poll(10, 1.0) == []
    assert await log.end_offsets("t") == {0: 0} or await log.beginning_offsets("t") == {0: 0}
    await log.producer("writer")
    assert [record.value for record in await read(consumer, 1)] == [b"plain"]
    end = (await log.end_offsets("t"))[0]
    while consumer.position(TopicPartition("t", 0)) < end:
        assert await consumer.poll(10, 1.0) == []
    with pytest.raises(ProducerFenced):
        await transaction.send("t", 0, b"k", b"zombie")
        await left_open.__aexit__(None, None, None)
    await crashed.close()
    assert await values(log, "t") == [b"plain"]


async def test_a_position_beyond_the_retention_is_out_of_range(
    settings: KafkaSettings, log: Log, admin: AIOKafkaAdminClient
) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send_many("t", [(0, b"k", b"%d" % i) for i in range(10)])
    await admin.delete_records({KafkaPartition(f"{settings.prefix}t", 0): RecordsToDelete(before_offset=5)})
    assert await log.beginning_offsets("t") == {0: 5}
    consumer = await log.assign({TopicPartition("t", 0): 2})
    with pytest.raises(OffsetOutOfRange):
        await consumer.poll(10, PLENTY)
    member = await log.subscribe("t", "group")
    assert [record.offset for record in await read(member, 5)] == [5, 6, 7, 8, 9]


async def test_a_topic_that_is_made_again_is_another_log(
    settings: KafkaSettings, log: Log, admin: AIOKafkaAdminClient
) -> None:
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send("t", 0, b"k", b"v")
    before, whole = await log.identity("t"), await log.identity()
    await admin.delete_topics([f"{settings.prefix}t"])
    async with asyncio.timeout(PLENTY):
        while True:
            try:
                await log.ensure_topic(TopicSpec("t", 1))
            except ReplicaDown:
                continue
            if await log.identity("t") != before:
                break
    assert await log.identity() == whole
    consumer = await log.assign({TopicPartition("t", 0): 1})
    with pytest.raises(OffsetOutOfRange):
        await consumer.poll(10, PLENTY)


async def test_members_come_and_go_and_no_record_is_in_two_hands(log: Log) -> None:
    """Each batch is held for a while: meanwhile nobody else may be given any of it. Every record is handled."""
    await log.ensure_topic(TopicSpec("t", 6))
    total = 600
    handled: set[tuple[int, int]] = set()
    held: dict[tuple[int, int], str] = {}
    producer = await log.producer()
    await producer.send_many("t", [(i % 6, b"k", b"%d" % i) for i in range(total)])

    async def member(name: str, batches: int) -> None:
        consumer = await log.subscribe("t", "group")
        try:
            while len(handled) < total and batches:
                records = await consumer.poll(5, 0.2)
                if not records:
                    continue
                batches -= 1
                keys = [(record.partition, record.offset) for record in records]
                for key in keys:
                    assert held.setdefault(key, name) == name
                await asyncio.sleep(0.01)
                try:
                    await consumer.commit({TopicPartition("t", r.partition): r.offset + 1 for r in records})
                except ConcurrentWrite:
                    continue
                finally:
                    for key in keys:
                        held.pop(key, None)
                handled.update(keys)
        finally:
            await consumer.close()

    async def later(name: str, seconds: float, batches: int) -> None:
        await asyncio.sleep(seconds)
        await member(name, batches)

    async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
        tasks.create_task(member("stays", total))
        tasks.create_task(later("goes", 0.3, 10))
        tasks.create_task(later("joins", 1.0, total))
    assert len(handled) == total


async def test_a_poll_that_waits_asks_nothing_of_the_broker(settings: KafkaSettings) -> None:
    """Idle costs a long fetch every fetch_wait_seconds and nothing else."""
    log = await KafkaLog.open(settings.model_copy(update={"fetch_wait_seconds": 10.0, "silence_seconds": 60.0}))
    try:
        await log.ensure_topic(TopicSpec("t", 64))
        consumer = await log.assign({TopicPartition("t", p): 0 for p in range(64)})
        assert await consumer.poll(10, 1.0) == []
        cpu_seconds = time.process_time()
        for _ in range(4):
            assert await consumer.poll(10, 1.0) == []
        assert time.process_time() - cpu_seconds < 0.4
        polling = asyncio.create_task(consumer.poll(10, PLENTY))
        await asyncio.sleep(0)
        began = time.monotonic()
        await (await log.producer()).send("t", 7, b"k", b"v")
        assert [record.partition for record in await polling] == [7]
        assert time.monotonic() - began < 2
    finally:
        await log.close()


async def test_a_member_whose_claim_takes_longer_than_a_session_is_not_expelled(
    kafka: Kafka, settings: KafkaSettings
) -> None:
    quick = settings.model_copy(update={"session_seconds": 1.0})
    log = await KafkaLog.open(quick)
    await log.ensure_topic(TopicSpec("t", 2))
    producer = await log.producer()
    await producer.send("t", 0, b"k", b"v")
    claimed: list[float] = []

    async def slow_broker(_: Sequence[TopicPartition]) -> None:
        await asyncio.sleep(2.5 * quick.session_seconds)
        claimed.append(time.monotonic())

    consumer = await log.subscribe("t", "g", slow_broker)
    (record,) = await read(consumer, 1)
    await consumer.commit({TopicPartition("t", 0): record.offset + 1})
    assert len(claimed) == 1
    await log.close()

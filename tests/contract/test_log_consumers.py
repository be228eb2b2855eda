"""How a log is read: groups, assignments, positions, waiting."""

import asyncio
from collections.abc import Sequence

import pytest

from omma.backlog import backlog, wait_until_handled
from omma.errors import ConcurrentWrite, WrongState
from omma.log.interface import Log, OffsetOutOfRange, TopicPartition, TopicSpec
from tests.contract.logs import PLENTY, LogBackend, drain, share_out


async def test_a_group_goes_on_where_it_committed(log_backend: LogBackend) -> None:
    log = await log_backend.open()
    await log.ensure_topic(TopicSpec("t", 1))
    await (await log.producer()).send_many("t", [(0, b"k", b"%d" % i) for i in range(5)])
    at = TopicPartition("t", 0)
    consumer = await log.subscribe("t", "group")
    assert [record.offset for record in await consumer.poll(2, PLENTY)] == [0, 1]
    await consumer.commit({at: 2})
    assert [record.offset for record in await consumer.poll(2, PLENTY)] == [2, 3]
    await log.close()
    log = await log_backend.open()
    assert await log.committed("group", "t") == {0: 2}
    consumer = await log.subscribe("t", "group")
    assert [record.offset for record in await consumer.poll(1, PLENTY)] == [2]
    assert consumer.position(at) == 3
    assert [record.offset for record in await drain(consumer, 2)] == [3, 4]
    assert [r.offset for r in await drain(await log.subscribe("t", "newcomers"), 5)] == [0, 1, 2, 3, 4]


async def test_a_group_whose_records_expired_unread_goes_on_at_the_beginning(log_backend: LogBackend) -> None:
    log = await log_backend.open()
    await log.ensure_topic(TopicSpec("t", 1))
    producer = await log.producer()
    for number in range(5):
        await producer.send("t", 0, b"k", b"%d" % number)
    at = TopicPartition("t", 0)
    running, away = await log.subscribe("t", "running"), await log.subscribe("t", "away")
    for member in (running, away):
        assert [record.offset for record in await member.poll(1, PLENTY)] == [0]
        await member.commit({at: 1})
    await away.close()
    assert [await backlog(log, "t", group) for group in ("away", "new")] == [4, 5]
    await log_backend.let_expire("t")
    assert await log.beginning_offsets("t") == await log.end_offsets("t") == {0: 5}
    async with asyncio.timeout(PLENTY):
        for group in ("away", "new"):
            assert await backlog(log, "t", group) == 0
            await wait_until_handled(log, "t", group)
        await producer.send("t", 0, b"k", b"young")
        for member in (running, await log.subscribe("t", "away")):
            values: list[bytes | None] = []
            while b"young" not in values:  # what a server had sent before may still come
                values += [record.value for record in await member.poll(10, PLENTY)]
            assert member.position(at) == 6
            await member.commit({at: 6})
    assert [await backlog(log, "t", group) for group in ("running", "away", "new")] == [0, 0, 1]


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

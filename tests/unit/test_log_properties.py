"""Whatever happens, a consumer sees every committed record once, in order."""

import asyncio
import tempfile
from pathlib import Path
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from omma.log.interface import Consumer, TopicPartition, TopicSpec
from omma.log.sqlite import SqliteLog

PARTITIONS = 2
KEPT, COMPACTED = "kept", "compacted"
Written: TypeAlias = tuple[bytes, bytes | None]

topics = st.sampled_from([KEPT, COMPACTED])
records = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1), st.sampled_from([b"a", b"b", b"c"]), st.one_of(st.none(), st.binary(max_size=3))
    ),
    max_size=5,
)


class Histories(RuleBasedStateMachine):
    """Sends, transactions that commit or abort, restarts, compactions and polls, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        every = [TopicPartition(topic, partition) for topic in (KEPT, COMPACTED) for partition in range(PARTITIONS)]
        self.committed: dict[TopicPartition, list[Written]] = {at: [] for at in every}
        self.seen: dict[TopicPartition, dict[int, Written]] = {at: {} for at in every}
        self.positions = dict.fromkeys(every, 0)
        self.group_offset = 0

    @initialize()
    def open(self) -> None:
        self._runner.run(self._open())

    async def _open(self) -> None:
        self.log = await SqliteLog.open(Path(self._folder.name) / "log.db")
        await self.log.ensure_topic(TopicSpec(KEPT, PARTITIONS))
        await self.log.ensure_topic(TopicSpec(COMPACTED, PARTITIONS, compacted=True))
        self.consumer: Consumer = await self.log.assign(self.positions)

    @rule(topic=topics, batch=records)
    def send(self, topic: str, batch: list[tuple[int, bytes, bytes | None]]) -> None:
        async def send() -> None:
            producer = await self.log.producer()
            first, rest = batch[:1], batch[1:]
            for partition, key, value in first:
                offset = await producer.send(topic, partition, key, value)
                assert offset == len(self.committed[TopicPartition(topic, partition)])
            await producer.send_many(topic, rest)

        self._runner.run(send())
        self._commit(topic, batch)

    @rule(batches=st.tuples(records, records), commit=st.booleans())
    def transact(self, batches: tuple[list[tuple[int, bytes, bytes | None]], ...], commit: bool) -> None:
        async def transact() -> None:
            producer = await self.log.producer("worker")
            try:
                async with producer.transaction() as transaction:
                    for topic, batch in zip((KEPT, COMPACTED), batches, strict=True):
                        for partition, key, value in batch:
                            await transaction.send(topic, partition, key, value)
                    offset = self.group_offset + 1
                    await transaction.send_offsets("group", {TopicPartition(KEPT, 0): offset})
                    if not commit:
                        raise InterruptedError
            except InterruptedError:
                return
            self.group_offset = offset

        self._runner.run(transact())
        if commit:
            for topic, batch in zip((KEPT, COMPACTED), batches, strict=True):
                self._commit(topic, batch)

    @rule()
    def restart(self) -> None:
        self._runner.run(self.log.close())
        self.open()
        committed = self._runner.run(self.log.committed("group", KEPT))
        assert committed == ({0: self.group_offset} if self.group_offset else {})

    @rule()
    def compact(self) -> None:
        self._runner.run(self.log.compact())

    @rule(max_records=st.integers(1, 4))
    def poll(self, max_records: int) -> None:
        self._poll(max_records)

    def _poll(self, max_records: int) -> int:
        found = self._runner.run(self.consumer.poll(max_records, 0))
        assert len(found) <= max_records
        for record in found:
            at = TopicPartition(record.topic, record.partition)
            assert record.offset >= self.positions[at]
            assert self.committed[at][record.offset] == (record.key, record.value)
            self.seen[at][record.offset] = (record.key, record.value)
            self.positions[at] = record.offset + 1
        return len(found)

    def teardown(self) -> None:
        while hasattr(self, "log") and self._poll(100):
            pass
        for at, written in self.committed.items():
            expected = dict(enumerate(written))
            if at.topic == COMPACTED:
                last = {key: offset for offset, (key, _) in expected.items()}
                assert set(last.values()) <= set(self.seen[at])
                assert self.seen[at].items() <= expected.items()
            else:
                assert self.seen[at] == expected
        if hasattr(self, "log"):
            assert self._runner.run(self.log.end_offsets(KEPT)) == {
                p: len(self.committed[TopicPartition(KEPT, p)]) for p in range(PARTITIONS)
            }
            self._runner.run(self.log.close())
        self._runner.close()
        self._folder.cleanup()

    def _commit(self, topic: str, batch: list[tuple[int, bytes, bytes | None]]) -> None:
        for partition, key, value in batch:
            self.committed[TopicPartition(topic, partition)].append((key, value))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)

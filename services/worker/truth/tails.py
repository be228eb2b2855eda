"""What the log says last of each picture of some buckets."""

from collections.abc import Collection
from typing import Final

from omma.errors import ConcurrentWrite, OutOfTime
from omma.log.interface import Consumer, Log, LogRecord, OffsetOutOfRange, TopicPartition
from omma.v1 import records_pb2
from services.worker.truth.compare import Tail

_POLL_RECORDS: Final = 1_000
_POLL_SECONDS: Final = 1.0
_EMPTY_POLLS: Final = 30
"""In a row, before the log is given up: it has an end that it does not hand out."""


class LogTails:
    """Reads whole partitions: a record is 2 bytes a dimension, of which only id and version are kept."""

    def __init__(self, log: Log, topic: str, buckets: Collection[int]) -> None:
        self.tails: dict[int, dict[int, Tail]] = {bucket: {} for bucket in buckets}
        self.ends: dict[int, int] = {}
        self._log = log
        self._topic = topic
        self._positions: dict[int, int] = {}

    async def read_on(self) -> None:
        """Up to the end as it is now: `tails` by bucket and id, `ends` by bucket.

        Raises Absent (no topic), ReplicaDown, OutOfTime, ConcurrentWrite when the log loses what was to be read.
        """
        ends = await self._log.end_offsets(self._topic)
        self.ends = {bucket: ends[bucket] for bucket in self.tails}
        if not self._positions:
            beginnings = await self._log.beginning_offsets(self._topic)
            self._positions = {bucket: beginnings[bucket] for bucket in self.tails}
        unread = {TopicPartition(self._topic, b): at for b, at in self._positions.items() if at < self.ends[b]}
        if not unread:
            return
        consumer = await self._log.assign(unread)
        try:
            await self._read(consumer, unread.keys())
        except OffsetOutOfRange as error:
            raise ConcurrentWrite(f"The log was compacted or made again while it was read ({error}).") from None
        finally:
            await consumer.close()

    async def _read(self, consumer: Consumer, unread: Collection[TopicPartition]) -> None:
        empty = 0
        while left := [at for at in unread if consumer.position(at) < self.ends[at.partition]]:
            records = await consumer.poll(_POLL_RECORDS, _POLL_SECONDS)
            for record in records:
                self._take(record)
            consumer.pause([at for at in left if consumer.position(at) >= self.ends[at.partition]])
            empty = 0 if records else empty + 1
            if empty == _EMPTY_POLLS:
                raise OutOfTime(f"The log hands out nothing more of {self._topic}, and has not ended.")
        self._positions |= {at.partition: consumer.position(at) for at in unread}

    def _take(self, record: LogRecord) -> None:
        tails = self.tails[record.partition]
        image_id = int.from_bytes(record.key, "big")
        if record.value is None:
            tails.pop(image_id, None)
            return
        message = records_pb2.VectorRecord.FromString(record.value)
        tails[image_id] = Tail(message.version, message.deleted, message.tenant)

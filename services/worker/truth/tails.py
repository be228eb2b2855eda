"""What the log says last of each picture of some buckets."""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from google.protobuf.message import DecodeError

from omma.errors import ConcurrentWrite, OmmaError, OutOfTime
from omma.log.interface import Consumer, Log, LogRecord, OffsetOutOfRange, TopicPartition
from omma.records import VectorRecord, image_key
from omma.telemetry.metrics import SHARD_RECORDS_PASSED_OVER
from omma.v1 import records_pb2
from services.worker.truth.compare import Tail

logger = logging.getLogger(__name__)

_POLL_RECORDS: Final = 1_000
_POLL_SECONDS: Final = 1.0
_EMPTY_POLLS: Final = 30
"""In a row, before the log is given up: it has an end that it does not hand out."""


class LogTails:
    """Reads whole partitions: a record is 2 bytes a dimension, of which only id, version and place are kept.

    One that cannot be read, or has not its picture's key, is passed over and counted, as shards do: what they hold is
    what was there before it.
    """

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
        self._positions |= await self._read(self._positions, self._take)

    async def last_records(self, wanted: Mapping[int, Collection[int]], dim: int) -> dict[int, VectorRecord]:
        """By id, the last readable records of these pictures, by bucket; read once more. Raises as `read_on` does."""
        found: dict[int, VectorRecord] = {}

        def take(record: LogRecord) -> None:
            image_id = int.from_bytes(record.key, "big")
            if (
                image_id in wanted[record.partition]
                and record.value is not None
                and not isinstance(_decoded(record), str)
            ):
                with suppress(OmmaError, ValueError):  # of another dimension, or with attributes that are none
                    found[image_id] = VectorRecord.decode(record.value, dim)

        first = {
            bucket: min(tail.offset for image_id, tail in self.tails[bucket].items() if image_id in image_ids)
            for bucket, image_ids in wanted.items()
        }
        await self._read(first, take)
        return found

    async def _read(self, positions: Mapping[int, int], take: Callable[[LogRecord], None]) -> dict[int, int]:
        """From there to `ends`; where it has come to."""
        unread = {TopicPartition(self._topic, b): at for b, at in positions.items() if at < self.ends[b]}
        if not unread:
            return {}
        consumer = await self._log.assign(unread)
        try:
            return await self._poll(consumer, unread.keys(), take)
        except OffsetOutOfRange as error:
            raise ConcurrentWrite(f"The log was compacted or made again while it was read ({error}).") from None
        finally:
            await consumer.close()

    async def _poll(
        self, consumer: Consumer, unread: Collection[TopicPartition], take: Callable[[LogRecord], None]
    ) -> dict[int, int]:
        empty = 0
        while left := [at for at in unread if consumer.position(at) < self.ends[at.partition]]:
            records = await consumer.poll(_POLL_RECORDS, _POLL_SECONDS)
            for record in records:
                take(record)
            consumer.pause([at for at in left if consumer.position(at) >= self.ends[at.partition]])
            empty = 0 if records else empty + 1
            if empty == _EMPTY_POLLS:
                raise OutOfTime(f"The log hands out nothing more of {self._topic}, and has not ended.")
        return {at.partition: consumer.position(at) for at in unread}

    def _take(self, record: LogRecord) -> None:
        tails = self.tails[record.partition]
        image_id = int.from_bytes(record.key, "big")
        if record.value is None:
            tails.pop(image_id, None)
            return
        message = _decoded(record)
        if isinstance(message, str):
            SHARD_RECORDS_PASSED_OVER.labels("verify", message).inc()
            logger.error("a record is passed over", extra={"at": record.place, "reason": message})
            return
        tails[image_id] = Tail(message.version, message.deleted, message.tenant, record.offset)


def _decoded(record: LogRecord) -> records_pb2.VectorRecord | str:
    """Or what is wrong with it: its bytes, or its key."""
    try:
        message = records_pb2.VectorRecord.FromString(record.value or b"")
    except DecodeError:
        return "bytes"
    is_its = message.image_id > 0 and record.key == image_key(message.image_id)
    return message if is_its else "key"

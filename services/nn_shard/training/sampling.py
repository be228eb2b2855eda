"""Vectors of the other shards' pictures, from the log: what a codebook is trained on beside a shard's own."""

import random
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

import numpy as np

from omma.buckets import buckets_of_shard
from omma.log.interface import Log, LogRecord, TopicPartition
from omma.space import Space
from omma.vectors import Float16
from services.nn_shard.engine import Incoming
from services.nn_shard.intake import Intake

_POLL_RECORDS: Final = 2_000
_POLL_SECONDS: Final = 10.0
_PICTURES_A_BUCKET: Final = 65_536
"""Held at a time, some 80 MB; of a bucket with more records a part, by a hash of the key, so that the newest counts."""


class LogSample:
    """Reads buckets, in random order, until it has enough: a bucket is a hash's worth of pictures."""

    def __init__(self, log: Log, space: Space, shard: int, shards: int) -> None:
        self.shards = shards
        self._log = log
        self._space = space
        self._intake = Intake(space, "sample")
        owned = buckets_of_shard(shard, shards, space.buckets)
        self._buckets = [bucket for bucket in range(space.buckets) if bucket not in owned]

    async def read(self, rows: int) -> AsyncIterator[Float16]:
        """At most `rows` vectors, float16[n, dim] of a bucket at a time, of pictures that the log holds now.

        Raises what the log raises.
        """
        missing = max(0, rows)
        ends = await self._log.end_offsets(self._space.vectors_topic) if missing else {}
        for bucket in random.sample(self._buckets, len(self._buckets)):
            if missing == 0:
                break
            if ends.get(bucket, 0):
                records = self._intake.take(await self._bucket(bucket, ends[bucket]))
                part = _vectors(records, self._space.dim)[:missing]
                missing -= len(part)
                yield part

    async def _bucket(self, bucket: int, end: int) -> Sequence[LogRecord]:
        """The newest record of each picture, or of so many of them as are held at a time."""
        at = TopicPartition(self._space.vectors_topic, bucket)
        begin = (await self._log.beginning_offsets(at.topic)).get(bucket, 0)
        consumer = await self._log.assign({at: begin})
        newest: dict[bytes, LogRecord] = {}
        below = 2**32 * min(1.0, _PICTURES_A_BUCKET / max(1, end - begin))
        try:
            while consumer.position(at) < end:
                for record in await consumer.poll(_POLL_RECORDS, _POLL_SECONDS):
                    if zlib.crc32(record.key) < below:
                        newest[record.key] = record
        finally:
            await consumer.close()
        return list(newest.values())


def _vectors(records: Iterable[Incoming], dim: int) -> Float16:
    return np.frombuffer(b"".join(record.vectors for record in records), "<f2").reshape(-1, dim)

"""Vectors of the other shards' pictures, from the log: what a codebook is trained on beside a shard's own."""

import random
from collections.abc import Iterable
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from omma.buckets import buckets_of_shard
from omma.errors import InvalidQuery
from omma.log.interface import Log, LogRecord, TopicPartition
from omma.records import VectorRecord
from omma.space import Space
from omma.vectors import Float32

_POLL_RECORDS: Final = 2_000
_POLL_SECONDS: Final = 10.0


class LogSample:
    """Reads whole buckets, in random order, until it has enough: a bucket is a hash's worth of pictures."""

    def __init__(self, log: Log, space: Space, shard: int, shards: int) -> None:
        self.shards = shards
        self._log = log
        self._space = space
        owned = buckets_of_shard(shard, shards, space.buckets)
        self._buckets = [bucket for bucket in range(space.buckets) if bucket not in owned]

    async def read(self, rows: int) -> Float32:
        """At most `rows` vectors, float32[n, dim], of pictures that the log holds now. Raises what the log raises."""
        parts = [np.empty((0, self._space.dim), np.float32)]
        missing = max(0, rows)
        ends = await self._log.end_offsets(self._space.vectors_topic) if missing else {}
        for bucket in random.sample(self._buckets, len(self._buckets)):
            if missing == 0:
                break
            if ends.get(bucket, 0):
                part = _vectors(await self._bucket(bucket, ends[bucket]), self._space)[:missing]
                parts.append(part)
                missing -= len(part)
        return np.concatenate(parts)

    async def _bucket(self, bucket: int, end: int) -> Iterable[LogRecord]:
        """The newest record of each picture."""
        at = TopicPartition(self._space.vectors_topic, bucket)
        begin = (await self._log.beginning_offsets(at.topic)).get(bucket, 0)
        consumer = await self._log.assign({at: begin})
        newest: dict[bytes, LogRecord] = {}
        try:
            while consumer.position(at) < end:
                for record in await consumer.poll(_POLL_RECORDS, _POLL_SECONDS):
                    newest[record.key] = record
        finally:
            await consumer.close()
        return newest.values()


def _vectors(records: Iterable[LogRecord], space: Space) -> Float32:
    found = [np.empty((0, space.dim), np.float32)]
    for record in records:
        try:
            decoded = VectorRecord.decode(record.value or b"", space.dim)
        except (DecodeError, InvalidQuery, ValueError):
            continue
        if decoded.space == space.id and not decoded.deleted:
            found.append(decoded.vectors.astype(np.float32))
    return np.concatenate(found)

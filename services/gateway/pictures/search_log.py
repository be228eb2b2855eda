"""The records of one key in one partition: read from its beginning, since a log has no index of keys."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omma.errors import Absent
from omma.log.interface import Log, LogRecord, TopicPartition

_POLL_RECORDS: Final = 1_000
_POLL_SECONDS: Final = 0.5
_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Found:
    """records: the last 20 of the key. read_to, end: next offsets; cut: time ran out between the two."""

    topic: str
    partition: int
    records: tuple[LogRecord, ...]
    read_to: int
    end: int

    @property
    def cut(self) -> bool:
        return self.read_to < self.end


async def search_log(
    log: Log, at: TopicPartition, key: bytes, seconds: float, now: Callable[[], float] = time.monotonic
) -> Found:
    """What the partition has of the key, as far as it could be read in this time. A topic that is absent is empty."""
    until = now() + seconds
    try:
        begin = (await log.beginning_offsets(at.topic))[at.partition]
        end = (await log.end_offsets(at.topic))[at.partition]
    except Absent:
        return Found(*at, (), 0, 0)
    records: deque[LogRecord] = deque(maxlen=_KEPT)
    if begin >= end:
        return Found(*at, (), end, end)
    consumer = await log.assign({at: begin})
    try:
        late = False
        while consumer.position(at) < end and not late:
            found = await consumer.poll(_POLL_RECORDS, _POLL_SECONDS)
            records.extend(record for record in found if record.key == key)
            late = now() >= until
        return Found(*at, tuple(records), min(consumer.position(at), end), end)
    finally:
        await consumer.close()

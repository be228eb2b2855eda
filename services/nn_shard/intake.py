"""Records of the vectors topic on their way into an engine or a sample: each is checked whole before any is used."""

import logging
from collections.abc import Sequence
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from omma.digests import buckets_of
from omma.errors import InvalidQuery, OmmaError, WrongSpace
from omma.log.interface import LogRecord
from omma.records import image_key
from omma.space import Space
from omma.telemetry.metrics import SHARD_RECORDS_PASSED_OVER
from omma.v1 import records_pb2
from services.nn_shard.engine import MAX_REGIONS, Incoming, incoming, not_unit

_BESIDE_VECTORS: Final = 1_048_576
"""Bytes of a record that are no vectors: tags and attributes at their limits are a third of it."""
_SAID: Final = 10
"""Of one poll: a topic full of wrong records fills no disk with the log of them."""

logger = logging.getLogger(__name__)


class Intake:
    """What is wrong with a record is counted and said, and the record passed over as a whole; the others go on."""

    def __init__(self, space: Space, reader: str) -> None:
        """reader: for the metric, who reads: `shard` or `sample`."""
        self._space = space
        self._reader = reader
        self._most_bytes = 2 * MAX_REGIONS * space.dim + _BESIDE_VECTORS

    def take(self, records: Sequence[LogRecord]) -> list[Incoming]:
        """Those that an engine of this space can hold, in order. Nulls are left out and not counted."""
        taken: list[Incoming] = []
        origins: list[LogRecord] = []
        wrong: list[tuple[LogRecord, str, str]] = []
        for record in records:
            if record.value is None:
                continue
            try:
                taken.append(self._decoded(record, record.value))
                origins.append(record)
            except DecodeError as error:
                wrong.append((record, "bytes", str(error)))
            except WrongSpace as error:
                wrong.append((record, "space", error.detail))
            except OmmaError as error:
                wrong.append((record, error.field or "other", error.detail))
        bad = self._out_of_place(taken, origins) | dict.fromkeys(
            not_unit(taken, self._space.dim), ("vector", "A vector is not finite and of length 1.")
        )
        wrong += [(origins[at], *why) for at, why in bad.items()]
        self._tell(wrong)
        return [one for at, one in enumerate(taken) if at not in bad]

    def _decoded(self, record: LogRecord, value: bytes) -> Incoming:
        if len(value) > self._most_bytes:
            raise InvalidQuery(f"{len(value):,} bytes are too many for a record.", field="size", limit=self._most_bytes)
        one = incoming(records_pb2.VectorRecord.FromString(value), self._space.id, self._space.dim)
        if record.key != image_key(one.image_id):
            raise InvalidQuery("The record's key is not its picture's.", field="key")
        return one

    def _out_of_place(self, taken: Sequence[Incoming], origins: Sequence[LogRecord]) -> dict[int, tuple[str, str]]:
        """What lies in another bucket than its picture's: another shard would hold it too."""
        ids = np.array([one.image_id for one in taken], np.int64)
        lies_in = np.array([record.partition for record in origins], np.int64)
        stray = np.flatnonzero(buckets_of(ids, self._space.buckets) != lies_in).tolist()
        return dict.fromkeys(stray, ("bucket", "The picture belongs into another bucket."))

    def _tell(self, wrong: Sequence[tuple[LogRecord, str, str]]) -> None:
        for record, _, detail in wrong[:_SAID]:
            logger.error("%s is passed over: %s", record.place, detail)
        if len(wrong) > _SAID:
            logger.error("%d more records of %s are passed over", len(wrong) - _SAID, wrong[0][0].topic)
        for _, reason, _ in wrong:
            SHARD_RECORDS_PASSED_OVER.labels(self._reader, reason).inc()

"""The durable effects of one batch, each idempotent: row, then vectors and offsets in a transaction a partition."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from omma.buckets import bucket_of
from omma.catalog.interface import Catalog, Embedded, Picture
from omma.hits import Payload
from omma.identity import ImageId, Sha256
from omma.log.interface import Log, Producer, TopicPartition
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC, VectorRecord, deleted_record, image_key
from omma.space import Space
from omma.telemetry.metrics import INDEXED_PICTURES
from omma.v1 import records_pb2
from services.indexer.plan import Plan
from services.indexer.sources import Outcome, Seen


@dataclass(frozen=True, slots=True)
class Resolved:
    """A batch that only has to be written. next_offsets: by partition of `omma.images`."""

    plan: Plan
    outcomes: Mapping[Sha256, Outcome]
    next_offsets: Mapping[int, int]


@dataclass(slots=True)
class _Writes:
    vectors: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    dead_letters: list[tuple[bytes, bytes]] = field(default_factory=list)


class Committer:
    """Writes batches in the order in which they were taken from the log; used by one task.

    One transactional producer a partition of `omma.images`: an older indexer that still holds it is fenced.
    Raises ProducerFenced when this one is the older.
    """

    def __init__(
        self, catalog: Catalog, log: Log, space: Space, group: str, now: Callable[[], float] = time.time
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._space = space
        self._group = group
        self._now = now
        self._producers: dict[int, Producer] = {}

    async def commit(self, batch: Resolved) -> None:
        """Everything of the batch is durable, and its offsets committed, when it returns. May be repeated."""
        await self._write_rows(batch)
        by_partition = {partition: _Writes() for partition in batch.next_offsets}
        for row in batch.plan.living:
            self._add_living(by_partition[batch.plan.partitions[row.id]], batch, row)
        for row in batch.plan.deleted:
            self._add_deleted(by_partition[batch.plan.partitions[row.id]], row)
        for record in batch.plan.unreadable:
            letter = records_pb2.DeadLetter(kind="corrupt", reason="The record is no event.", space=self._space.id)
            by_partition[record.partition].dead_letters.append((record.key, letter.SerializeToString()))
        for partition, writes in by_partition.items():
            await self._transact(partition, batch.next_offsets[partition], writes)
        INDEXED_PICTURES.labels("deleted").inc(len(batch.plan.deleted))

    async def close(self) -> None:
        for producer in self._producers.values():
            await producer.close()

    async def _write_rows(self, batch: Resolved) -> None:
        embedded = []
        for row in batch.plan.living:
            match batch.outcomes[row.sha256]:
                case Seen() as seen:
                    embedded.append(Embedded(row.id, row.version, seen.width, seen.height, seen.phash))
                case error:
                    await self._catalog.record_dead(row.id, row.version, error.detail)
        if embedded:
            await self._catalog.record_embedded(self._space.id, embedded)

    def _add_living(self, writes: _Writes, batch: Resolved, row: Picture) -> None:
        match batch.outcomes[row.sha256]:
            case Seen() as seen:
                self._add_vectors(writes, _vector_record(row, seen, self._space.id))
            case error:
                letter = records_pb2.DeadLetter(
                    event=batch.plan.events[row.id].message(),
                    kind=error.kind,
                    reason=error.detail,
                    space=self._space.id,
                    failed_at_ms=int(self._now() * 1000),
                    uri=row.uri,
                )
                writes.dead_letters.append((image_key(row.id), letter.SerializeToString()))
                # What its older bytes looked like must not be found either, and receipts may stop waiting.
                self._add_deleted(writes, row)
                INDEXED_PICTURES.labels("dead").inc()

    def _add_deleted(self, writes: _Writes, row: Picture) -> None:
        self._add_vectors(writes, deleted_record(row.id, row.version, row.tenant, self._space.id, self._space.dim))

    def _add_vectors(self, writes: _Writes, record: VectorRecord) -> None:
        bucket = bucket_of(record.image_id, self._space.buckets)
        writes.vectors.append((bucket, image_key(record.image_id), record.encode()))

    async def _transact(self, partition: int, next_offset: int, writes: _Writes) -> None:
        producer = self._producers.get(partition)
        if producer is None:
            producer = await self._log.producer(f"omma.indexer.{self._space.id}.{partition}")
            self._producers[partition] = producer
        async with producer.transaction() as transaction:
            for bucket, key, value in writes.vectors:
                await transaction.send(self._space.vectors_topic, bucket, key, value)
            for key, value in writes.dead_letters:
                await transaction.send(DEAD_LETTERS_TOPIC, 0, key, value)
            await transaction.send_offsets(self._group, {TopicPartition(IMAGES_TOPIC, partition): next_offset})


def _vector_record(row: Picture, seen: Seen, space: str) -> VectorRecord:
    payload = Payload(
        uri=row.uri,
        source_url=row.source_url,
        owner=row.owner,
        tags=row.tags,
        attributes=dict(row.attributes),
        created_at_ms=row.created_at_ms,
        width=seen.width,
        height=seen.height,
        sha256=row.sha256,
    )
    return VectorRecord(
        ImageId(row.id), row.version, row.tenant, space, seen.vectors, seen.boxes, seen.phash, payload, deleted=False
    )

"""The durable effects of one batch, each idempotent: row, then vectors and offsets in a transaction a partition."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from omma.blobs.originals import plain_key
from omma.buckets import bucket_of
from omma.catalog.interface import Catalog, Embedded, Picture
from omma.errors import OmmaError
from omma.hits import Payload
from omma.identity import ImageId, Sha256
from omma.log.interface import Log, Producer, ProducerFenced, TopicPartition
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC, VectorRecord, deleted_record, image_key
from omma.space import Space
from omma.telemetry.metrics import INDEXED_PICTURES
from omma.v1 import records_pb2
from services.indexer.deaths import Fate
from services.indexer.plan import Plan
from services.indexer.sources import Outcome, Seen

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A batch that only has to be written. next_offsets: by partition of `omma.images`.

    claims: with what each partition was held when the batch was read. Whoever lost the partition since then, and even
    got it again, cannot write it any more.
    """

    plan: Plan
    outcomes: Mapping[Sha256, Outcome]
    next_offsets: Mapping[int, int]
    claims: Mapping[int, Producer]

    def fates(self) -> list[Fate]:
        """Of its living pictures."""
        outcomes = [self.outcomes[row.sha256] for row in self.plan.living]
        return [outcome.kind if isinstance(outcome, OmmaError) else None for outcome in outcomes]


@dataclass(slots=True)
class _Writes:
    vectors: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    dead_letters: list[tuple[bytes, bytes]] = field(default_factory=list)


class Committer:
    """Writes batches in the order in which they were taken from the log; used by one task.

    One transactional producer a partition of `omma.images`, made when the partition is assigned and at no other time:
    an older indexer that still holds it is fenced, and whatever is written was read after that.
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

    async def claim(self, partitions: Sequence[TopicPartition]) -> None:
        """Take over these partitions of `omma.images`, before anything is read from them."""
        for at in partitions:
            older = self._producers.pop(at.partition, None)
            if older is not None:
                await older.close()
            producer = await self._log.producer(f"omma.indexer.{self._space.id}.{at.partition}")
            self._producers[at.partition] = producer

    def claims(self, partitions: Collection[int]) -> Mapping[int, Producer]:
        """With what these partitions are held now."""
        return {partition: self._producers[partition] for partition in partitions}

    async def commit(self, batch: Resolved, assignment: Callable[[], Collection[TopicPartition]]) -> None:
        """Everything of the batch is durable, and its offsets committed, when it returns. May be repeated.

        assignment: what is this indexer's now. Of a partition that was assigned anew, here or elsewhere, since it was
        read nothing is written: it is read again. Raises ProducerFenced when another indexer has taken one over and
        this one was not told.
        """
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
            if self._producers.get(partition) is not batch.claims[partition]:
                continue
            try:
                await self._transact(batch.claims[partition], partition, batch.next_offsets[partition], writes)
            except ProducerFenced:
                if TopicPartition(IMAGES_TOPIC, partition) in assignment():
                    raise
                logger.info("another indexer has partition %d now", partition)
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
                self._add_deleted(writes, row, dead=True)
                INDEXED_PICTURES.labels("dead").inc()

    def _add_deleted(self, writes: _Writes, row: Picture, *, dead: bool = False) -> None:
        space = self._space
        self._add_vectors(writes, deleted_record(row.id, row.version, row.tenant, space.id, space.dim, dead=dead))

    def _add_vectors(self, writes: _Writes, record: VectorRecord) -> None:
        bucket = bucket_of(record.image_id, self._space.buckets)
        writes.vectors.append((bucket, image_key(record.image_id), record.encode()))

    async def _transact(self, producer: Producer, partition: int, next_offset: int, writes: _Writes) -> None:
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
        key="" if row.key == plain_key(row.uri, row.sha256) else row.key,
        bytes=row.bytes,
        mtime_ns=row.mtime_ns,
    )
    return VectorRecord(
        ImageId(row.id), row.version, row.tenant, space, seen.vectors, seen.boxes, seen.phash, payload, deleted=False
    )

"""The durable effects of what is settled, each idempotent: row, then vectors and offset in one transaction."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from omma.blobs.originals import plain_key
from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, Picture
from omma.description import readable
from omma.errors import Bug, OmmaError, TooLarge
from omma.hits import Payload
from omma.identity import ImageId
from omma.log.interface import MAX_RECORD_BYTES, Log, LogRecord, Producer, ProducerFenced, TopicPartition
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC, VectorRecord, deleted_record, image_key, letter_key
from omma.space import Space
from omma.telemetry.metrics import INDEXED_PICTURES
from omma.v1 import records_pb2
from services.indexer.offsets import Offsets
from services.indexer.sources import Seen
from services.indexer.taken import Settled, Taken

logger = logging.getLogger(__name__)

_Written = tuple[Settled, tuple[VectorRecord | None, bytes]]
"""With its record in the vectors topic, and that record's bytes."""
_NO_RECORD: Final = (None, b"")
_MAX_LETTER_KEY_BYTES: Final = 256
"""Of what is no event: a key alone may be as long as a record."""
_SAID: Final = 10
"""Of one poll: a topic full of wrong records fills no disk with the log of them."""
_UNWRITABLE = (ValueError, TypeError, OverflowError)
"""What a row raises that no record can say: text that is no text, a number without room."""


@dataclass(slots=True)
class _Held:
    """A partition of `omma.images` that is this indexer's."""

    producer: Producer
    offsets: Offsets = field(default_factory=Offsets)


class Committer:
    """Writes what is settled, in the order in which it is given; used by one task, but for `claim` and `take`.

    One transactional producer a partition of `omma.images`, made when the partition is assigned and at no other time:
    an older indexer that still holds it is fenced, and whatever is written was read after that.

    Records may be settled out of the order of the log. What is committed is the first that is not: after a crash some
    are settled twice, each as its row is then.
    """

    def __init__(
        self, catalog: Catalog, log: Log, space: Space, group: str, now: Callable[[], float] = time.time
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._space = space
        self._group = group
        self._now = now
        self._held: dict[int, _Held] = {}

    async def claim(self, partitions: Sequence[TopicPartition]) -> None:
        """Take over these partitions of `omma.images`, before anything is read from them."""
        for at in partitions:
            older = self._held.pop(at.partition, None)
            if older is not None:
                await older.producer.close()
            producer = await self._log.producer(f"omma.indexer.{self._space.id}.{at.partition}")
            self._held[at.partition] = _Held(producer)

    def take(self, records: Sequence[LogRecord]) -> list[Taken]:
        """Records as they were polled, each to be committed once."""
        taken = []
        for record in records:
            held = self._held[record.partition]
            held.offsets.take(record.offset)
            taken.append(Taken.of(record, held.producer))
        for one in [one for one in taken if one.event is None][:_SAID]:
            logger.error("a record is no event and is passed over", extra={"at": one.record.place})
        return taken

    def holds(self, taken: Taken) -> bool:
        """Whether the partition was not assigned anew since this was taken."""
        held = self._held.get(taken.record.partition)
        return held is not None and held.producer is taken.claim

    async def commit(self, batch: Sequence[Settled], assignment: Callable[[], Collection[TopicPartition]]) -> None:
        """Everything of the batch is durable, and its offsets handled, when it returns. May be repeated.

        assignment: what is this indexer's now. Of a partition that was assigned anew, here or elsewhere, since a record
        was read nothing is written, no row either: it is read again. A row that no record can say is a dead letter.
        Raises ProducerFenced when another indexer has taken a partition over and this one was not told.
        """
        assigned = assignment()
        mine = [one for one in batch if _partition(one) in assigned and self.holds(one.taken)]
        written, undying = await self._write_rows([self._written(one) for one in mine])
        by_partition: dict[int, list[_Written]] = {one.taken.record.partition: [] for one in undying}
        for one, encoded in written:
            by_partition.setdefault(one.taken.record.partition, []).append((one, encoded))
        for partition, settled in by_partition.items():
            held = self._held.get(partition)
            if held is None:
                continue
            still = [one for one in settled if one[0].taken.claim is held.producer]
            again = [one for one in undying if one.taken.claim is held.producer]
            if not still and not again:
                continue
            try:
                await self._transact(held, partition, still, proving=bool(again))
                await self._tell_again(again)
                await self._transact(held, partition, [(Settled(one.taken), _NO_RECORD) for one in again])
            except ProducerFenced:
                if TopicPartition(IMAGES_TOPIC, partition) in assignment():
                    raise
                logger.info("another indexer has partition %d now", partition)
        for one in [*(one for one, _ in written), *(Settled(one.taken) for one in undying)]:
            INDEXED_PICTURES.labels(_fate(one)).inc()

    async def close(self) -> None:
        for held in self._held.values():
            await held.producer.close()

    def _written(self, one: Settled) -> _Written:
        """With its record in the vectors topic; overtaken ones have none, and those that cannot be written are dead."""
        row = None if one.taken.overtaken else one.row
        if row is None:
            return Settled(one.taken), _NO_RECORD
        if isinstance(one.outcome, Seen):
            try:
                return one, _checked(_vector_record(row, one.outcome, self._space.id))
            except OmmaError as error:
                one = Settled(one.taken, row, error)
            except _UNWRITABLE as error:
                logger.error("a row cannot be written", exc_info=error, extra={"image_id": row.id})
                one = Settled(one.taken, row, Bug(f"Its row cannot be written to the log: {type(error).__name__}."))
        # What its older bytes looked like must not be found either, and receipts may stop waiting.
        space, dead = self._space, isinstance(one.outcome, OmmaError)
        return one, _checked(deleted_record(row.id, row.version, row.tenant, space.id, space.dim, dead=dead))

    async def _write_rows(self, batch: Sequence[_Written]) -> tuple[list[_Written], list[Settled]]:
        """What is to be written to the log then, and the deaths that their rows do not take."""
        embedded: dict[ImageId, Embedded] = {}
        left: list[_Written] = []
        undying: list[Settled] = []
        for one, record in batch:
            row = one.row
            match one.outcome:
                case Seen() as seen if row is not None:
                    embedded[row.id] = Embedded(
                        row.id, row.version, seen.width, seen.height, seen.phash, seen.signature, seen.quality
                    )
                case OmmaError() as error if row is not None:
                    reason = readable(error.detail)
                    if not await self._catalog.record_dead(row.id, row.version, reason, self._space.id):
                        logger.warning("a picture that has its vector does not die", extra={"image_id": row.id})
                        undying.append(one)
                        continue
            left.append((one, record))
        if embedded:
            await self._catalog.record_embedded(self._space.id, list(embedded.values()))
        return left, undying

    async def _tell_again(self, undying: Sequence[Settled]) -> None:
        """Whoever told of the vector of these may have died before the log had it, and they cannot be read now: a newer
        event settles each from its shard, or as dead. Only who holds the partition, as a transaction has shown, says
        so, and before this event is handled: whoever dies in between leaves it to the next. Nothing else is written.
        """
        for one in undying:
            if one.row is not None:
                await self._catalog.overtake({one.row.id: one.row.version})
                one.taken.overtaken = True

    async def _transact(
        self, held: _Held, partition: int, settled: Sequence[_Written], *, proving: bool = False
    ) -> None:
        """proving: even of nothing, since what is fenced must hear of it."""
        for one, _ in settled:
            held.offsets.handle(one.taken.record.offset)
        next_offset = held.offsets.next_offset()
        vectors = [(record.image_id, value) for _, (record, value) in settled if record is not None]
        letters = [letter for one, _ in settled if (letter := self._letter(one)) is not None]
        if not vectors and not letters and next_offset == held.offsets.committed and not proving:
            return
        async with held.producer.transaction() as transaction:
            for image_id, value in vectors:
                bucket = bucket_of(image_id, self._space.buckets)
                await transaction.send(self._space.vectors_topic, bucket, image_key(image_id), value)
            for key, value in letters:
                await transaction.send(DEAD_LETTERS_TOPIC, 0, key, value)
            if next_offset is not None:
                await transaction.send_offsets(self._group, {TopicPartition(IMAGES_TOPIC, partition): next_offset})
        held.offsets.committed = next_offset

    def _letter(self, one: Settled) -> tuple[bytes, bytes] | None:
        event, row, error = one.taken.event, one.row, one.outcome
        if event is None:
            record = one.taken.record
            reason = f"{record.place} is no event."
            letter = records_pb2.DeadLetter(kind="corrupt", reason=reason, space=self._space.id)
            return record.key[:_MAX_LETTER_KEY_BYTES], letter.SerializeToString()
        if row is None or not isinstance(error, OmmaError):
            return None
        letter = records_pb2.DeadLetter(
            event=event.message(),
            kind=error.kind,
            reason=readable(error.detail),
            space=self._space.id,
            failed_at_ms=int(self._now() * 1000),
            uri=readable(row.uri),
        )
        return letter_key(row.id, self._space.id), letter.SerializeToString()


def _partition(one: Settled) -> TopicPartition:
    return TopicPartition(one.taken.record.topic, one.taken.record.partition)


def _checked(record: VectorRecord) -> tuple[VectorRecord, bytes]:
    value = record.encode()
    if len(value) > MAX_RECORD_BYTES - len(image_key(record.image_id)):
        raise TooLarge(f"What is known of it has {len(value):,} bytes.", limit=MAX_RECORD_BYTES)
    return record, value


def _fate(one: Settled) -> str:
    if one.taken.event is None:
        return "unreadable"
    if one.row is None:
        return "stale"
    if isinstance(one.outcome, Seen):
        return "indexed"
    return "deleted" if one.outcome is None else "dead"


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
        private=row.private,
        quality=seen.quality,
    )
    return VectorRecord(
        ImageId(row.id),
        row.version,
        row.tenant,
        space,
        seen.vectors,
        seen.boxes,
        seen.phash,
        payload,
        signature=seen.signature,
    )

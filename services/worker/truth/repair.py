"""The least that brings rows and log in line. May be repeated: what is in line already is left alone."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from omma.blobs.originals import plain_key
from omma.buckets import bucket_of
from omma.catalog.given import GivenVector
from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, LoggedPicture, NewPicture
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.log.interface import Log
from omma.outbox import Outbox
from omma.records import VectorRecord, deleted_record, image_key
from omma.space import Space
from services.worker.truth.differences import ABOUT, Difference, DifferenceKind, Mend
from services.worker.truth.tails import LogTails

_AT_ONCE: Final = 1_000


class Repair:
    """Writes rows and their events; never to a shard. Deletes no vector unless it is told to bury."""

    def __init__(self, catalog: Catalog, log: Log, outbox: Outbox, space: Space, *, bury: bool = False) -> None:
        """bury: write deleted records after vectors that no row can be made for."""
        self._catalog = catalog
        self._log = log
        self._outbox = outbox
        self._space = space
        self._bury_rest = bury

    async def mend(self, differences: Collection[Difference], tails: LogTails) -> dict[DifferenceKind, int]:
        """By kind, how many were mended; in the shards it shows once the indexer has handled the events.

        tails: of these buckets. No later picture gets an id that the log knows, whether or not something differs.
        """
        await self._catalog.raise_ids_above(
            ImageId(max((max(of, default=0) for of in tails.tails.values()), default=0))
        )
        mended: dict[DifferenceKind, int] = {}
        for kind in DifferenceKind:
            mend = ABOUT[kind].mend
            if mend is None:
                continue
            for some in _batches(one for one in differences if one.kind is kind):
                done = await (self._rebuild(some, tails) if mend is Mend.REBUILD else self._send_again(some))
                mended[kind] = mended.get(kind, 0) + done
        return mended

    async def _send_again(self, some: Sequence[Difference]) -> int:
        seen = {ImageId(one.image_id): Version(max(one.row_version or 0, one.log_version or 0)) for one in some}
        changes = await self._catalog.overtake(seen)
        await self._outbox.send(changes)
        return len(changes)

    async def _rebuild(self, some: Sequence[Difference], tails: LogTails) -> int:
        records = await tails.last_records({one.bucket: {o.image_id for o in some} for one in some}, self._space.dim)
        # The log tells that it could not be read, and no longer what it was: it is tried again.
        dead = [one for one in some if one.image_id in records and records[one.image_id].dead]
        told = {i: record for i, record in records.items() if not record.dead}
        done = await self._catalog.rebuild([_logged(record, self._space) for record in told.values()])
        live = [told[i] for i in done if not told[i].deleted]
        if live:
            await self._catalog.record_embedded(self._space.id, [_embedded(record) for record in live])
        count = len(done) + (await self._send_again(dead) if dead else 0)
        rest = [one for one in some if one.kind is DifferenceKind.VECTOR_WITHOUT_ROW and one.image_id not in done]
        return count + (await self._bury(rest, tails) if rest and self._bury_rest else 0)

    async def _bury(self, some: Sequence[Difference], tails: LogTails) -> int:
        """Without a row the indexer drops every event of these pictures: nobody else writes them any more."""
        space = self._space
        rows = await self._catalog.pictures([ImageId(one.image_id) for one in some])
        records = [
            deleted_record(
                ImageId(one.image_id),
                Version((one.log_version or 0) + 1),
                Tenant(tails.tails[one.bucket][one.image_id].tenant),
                space.id,
                space.dim,
            )
            for one in some
            if one.image_id not in rows
        ]
        producer = await self._log.producer()
        try:
            await producer.send_many(
                space.vectors_topic,
                [(bucket_of(one.image_id, space.buckets), image_key(one.image_id), one.encode()) for one in records],
            )
        finally:
            await producer.close()
        return len(records)


def _logged(record: VectorRecord, space: Space) -> LoggedPicture:
    if record.deleted:
        return LoggedPicture(record.image_id, record.tenant, record.version, None)
    payload = record.payload
    sha256 = Sha256(payload.sha256)
    picture = NewPicture(
        key=payload.key or plain_key(payload.uri, sha256),
        sha256=sha256,
        uri=payload.uri,
        bytes=payload.bytes,
        owner=payload.owner,
        tags=payload.tags,
        source_url=payload.source_url,
        attributes=payload.attributes,
        mtime_ns=payload.mtime_ns,
        given=GivenVector(space.id, record.vectors[0].astype("<f2").tobytes()) if payload.is_given else None,
        private=payload.private,
    )
    return LoggedPicture(record.image_id, record.tenant, record.version, picture, payload.created_at_ms)


def _embedded(record: VectorRecord) -> Embedded:
    payload = record.payload
    size = payload.width, payload.height
    return Embedded(record.image_id, record.version, *size, record.phash, record.signature, payload.quality)


def _batches(differences: Iterable[Difference]) -> Iterator[list[Difference]]:
    left = iter(differences)
    while some := list(islice(left, _AT_ONCE)):
        yield some

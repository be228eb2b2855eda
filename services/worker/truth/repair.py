"""The least that brings the log in line with the rows. May be repeated: what is in line already is left alone."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.identity import ImageId, Tenant, Version
from omma.log.interface import Log
from omma.outbox import Outbox
from omma.records import deleted_record, image_key
from omma.space import Space
from services.worker.truth.differences import ABOUT, Difference, DifferenceKind
from services.worker.truth.tails import LogTails

_AT_ONCE: Final = 1_000


class Repair:
    """Writes rows and their events, and deleted records of pictures that have no row; never to a shard."""

    def __init__(self, catalog: Catalog, log: Log, outbox: Outbox, space: Space) -> None:
        self._catalog = catalog
        self._log = log
        self._outbox = outbox
        self._space = space

    async def mend(self, differences: Collection[Difference], tails: LogTails) -> dict[DifferenceKind, int]:
        """By kind, how many were mended; in the shards it shows once the indexer has handled the events.

        tails: of these buckets. No later picture gets an id that the log knows, whether or not something differs.
        """
        await self._catalog.raise_ids_above(
            ImageId(max((max(of, default=0) for of in tails.tails.values()), default=0))
        )
        mended: dict[DifferenceKind, int] = {}
        for kind in DifferenceKind:
            if not ABOUT[kind].by_repair:
                continue
            for some in _batches(one for one in differences if one.kind is kind):
                done = await (self._bury if kind is DifferenceKind.VECTOR_WITHOUT_ROW else self._send_again)(
                    some, tails
                )
                mended[kind] = mended.get(kind, 0) + done
        return mended

    async def _send_again(self, some: Sequence[Difference], tails: LogTails) -> int:
        seen = {ImageId(one.image_id): Version(max(one.row_version or 0, one.log_version or 0)) for one in some}
        changes = await self._catalog.overtake(seen)
        await self._outbox.send(changes)
        return len(changes)

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


def _batches(differences: Iterable[Difference]) -> Iterator[list[Difference]]:
    left = iter(differences)
    while some := list(islice(left, _AT_ONCE)):
        yield some

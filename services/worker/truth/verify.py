"""Compare everything: bucket by bucket by digest, picture by picture only where digests differ."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import numpy as np

from omma.backlog import indexer_group, wait_until_handled
from omma.errors import Overloaded
from omma.outbox import Outbox
from omma.records import IMAGES_TOPIC
from omma.space import Space
from omma.storage import Storage
from omma.telemetry.metrics import DIFFERENCES, VERIFIED_AT
from services.topology.indexes import PlacedIndex
from services.worker.truth.compare import Row, log_and_replica, rows_and_log
from services.worker.truth.differences import ABOUT, Difference, DifferenceKind, Report
from services.worker.truth.originals import compare_originals
from services.worker.truth.repair import Repair
from services.worker.truth.replicas import ReplicaViews
from services.worker.truth.rows import RowSummary, rows_of_buckets, rows_of_pictures, summary_of_rows
from services.worker.truth.tails import LogTails

_PICTURES_AT_ONCE: Final = 250_000
"""Compared one by one in one go, whole buckets: some 100 MB; each go reads the catalog once more."""

logger = logging.getLogger(__name__)


class Verifier:
    """Compares while others write: a difference counts only if it is still the same once all that was on its way has
    arrived. One comparison at a time. Belongs to one event loop.
    """

    def __init__(
        self,
        storage: Storage,
        outbox: Outbox,
        live: Callable[[], PlacedIndex],
        *,
        settle_seconds: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """live: the index that answers now.

        settle_seconds: for the indexer and the replicas to take in what the log has when they are waited for."""
        self._catalog = storage.catalog
        self._blobs = storage.blobs
        self._log = storage.log
        self._outbox = outbox
        self._live = live
        self._settle_seconds = settle_seconds
        self._now = now
        self._running = asyncio.Lock()

    async def verify(self, *, repair: bool = False, full: bool = False) -> Report:
        """What differs in the live index. full: every bucket's log and pictures, whatever the digests say.

        repair: mend what can be mended; reads as much as full, since ids in the log must be known. Raises Overloaded
        while another one runs here, and what the storage raises.
        """
        if self._running.locked():
            raise Overloaded("A comparison is under way.", retry_after_seconds=10.0)
        async with self._running:
            began = time.monotonic()
            served = self._live()
            report = Report(served.index.id, buckets=served.space.buckets)
            views = ReplicaViews(served)
            rows = await summary_of_rows(self._catalog, served.space.buckets)
            report.rows = rows.counts
            for some in await self._to_compare(rows, served, views, everything=full or repair):
                report.bucket_details += len(some)
                await self._compare(some, served.space, views, report, repair=repair)
            report.replicas = views.left_out
            await compare_originals(self._catalog, self._blobs, rows, report)
            report.took_seconds = time.monotonic() - began
            self._tell(report)
            return report

    async def _to_compare(
        self, rows: RowSummary, served: PlacedIndex, views: ReplicaViews, *, everything: bool
    ) -> list[list[int]]:
        """Buckets to compare picture by picture, in goes of a bounded number of pictures."""
        suspect, pictures = rows.pending > 0, rows.indexed.pictures + rows.pending
        for said in (await views.digests()).values():
            owned = slice(said.buckets.start, said.buckets.stop)
            differs = (said.pictures != rows.indexed.pictures[owned]) | (said.sums != rows.indexed.sums[owned])
            suspect[owned] |= differs
            pictures[owned] = np.maximum(pictures[owned], said.pictures)
        chosen = range(served.space.buckets) if everything else np.flatnonzero(suspect).tolist()
        return list(_goes(chosen, pictures.tolist()))

    async def _compare(
        self, buckets: list[int], space: Space, views: ReplicaViews, report: Report, *, repair: bool
    ) -> None:
        tails = LogTails(self._log, space.vectors_topic, buckets)
        rows = await rows_of_buckets(self._catalog, buckets, space.buckets)
        seen = await self._differences(rows, tails, views)
        if seen:
            report.settled &= await self._settled()
            suspects = {bucket: rows[bucket] for bucket in {one.bucket for one in seen}}
            again = await rows_of_pictures(self._catalog, {one.image_id for one in seen})
            for one in seen:
                if one.image_id in again:
                    suspects[one.bucket][one.image_id] = again[one.image_id]
            seen &= await self._differences(suspects, tails, views)
        if not report.settled:
            seen = {one for one in seen if not ABOUT[one.kind].on_its_way}
        report.add(sorted(seen, key=lambda one: one.image_id))
        if repair:
            mended = await Repair(self._catalog, self._log, self._outbox, space).mend(seen, tails)
            for kind, count in mended.items():
                report.repaired[kind] = report.repaired.get(kind, 0) + count

    async def _differences(
        self, rows: Mapping[int, Mapping[int, Row]], tails: LogTails, views: ReplicaViews
    ) -> set[Difference]:
        """Of these buckets, as log and replicas are now."""
        await tails.read_on()
        await views.until_applied({bucket: tails.ends[bucket] for bucket in rows}, self._settle_seconds)
        found: set[Difference] = set()
        for bucket, of_bucket in rows.items():
            last = tails.tails[bucket]
            found.update(await asyncio.to_thread(list, rows_and_log(bucket, of_bucket, last)))
            for held in await views.held(bucket):
                found.update(await asyncio.to_thread(list, log_and_replica(bucket, of_bucket, last, held)))
        return found

    async def _settled(self) -> bool:
        """Whether every event that was due is sent, and handled by the indexer."""
        group = indexer_group(self._live().space.id)
        try:
            async with asyncio.timeout(self._settle_seconds):
                await self._outbox.send_unsent()
                await wait_until_handled(self._log, IMAGES_TOPIC, group)
        except TimeoutError:
            return False
        return True

    def _tell(self, report: Report) -> None:
        for kind in DifferenceKind:
            DIFFERENCES.labels(kind).set(report.counts.get(kind, 0) - report.repaired.get(kind, 0))
        VERIFIED_AT.set(self._now())
        logger.info("verified", extra={"clean": report.clean, "took_seconds": round(report.took_seconds, 1)})


def _goes(buckets: Collection[int], pictures: list[int]) -> Iterator[list[int]]:
    some: list[int] = []
    total = 0
    for bucket in buckets:
        if some and total + pictures[bucket] > _PICTURES_AT_ONCE:
            yield some
            some, total = [], 0
        some.append(bucket)
        total += pictures[bucket]
    if some:
        yield some

"""Compare everything: bucket by bucket by digest, picture by picture only where digests differ."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from omma.backlog import indexer_group, wait_until_handled
from omma.catalog.picture import PictureState
from omma.errors import Absent, Overloaded
from omma.outbox import Outbox
from omma.records import IMAGES_TOPIC
from omma.space import Space
from omma.storage import Storage
from omma.telemetry.metrics import DIFFERENCES, VERIFIED_AT
from services.nn_shard.client import BucketDigests
from services.topology.indexes import PlacedIndex
from services.worker.jobs.progress import Progress
from services.worker.truth.compare import Row, log_and_replica, rows_and_log
from services.worker.truth.differences import ABOUT, Difference, DifferenceKind
from services.worker.truth.originals import OriginalsComparison
from services.worker.truth.repair import Repair
from services.worker.truth.replicas import ReplicaViews
from services.worker.truth.report import Report
from services.worker.truth.rows import Go, goes, rows_of_pictures
from services.worker.truth.tails import LogTails

_FILLED_AT_ONCE: Final = 5_000
_ROWS: Final = "rows"
_ORIGINALS: Final = "originals"

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
        placed: Callable[[str], PlacedIndex | None],
        *,
        settle_seconds: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """live: the index that answers now. placed: any by its id, None where it has no place.

        settle_seconds: for the indexer and the replicas to take in what the log has when they are waited for."""
        self._catalog = storage.catalog
        self._blobs = storage.blobs
        self._log = storage.log
        self._grace_seconds = storage.deleted_grace_seconds
        self._outbox = outbox
        self._live = live
        self._placed = placed
        self._settle_seconds = settle_seconds
        self._now = now
        self._running = asyncio.Lock()

    async def verify(
        self,
        index: str = "",
        *,
        repair: bool = False,
        full: bool = False,
        bury: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """What differs in the index of this id, or in the live one. full: every bucket's log and pictures, whatever the
        digests say.

        repair: mend what can be mended; reads as much as full, since ids in the log must be known. bury: repair, and
        delete live vectors that no row can be made for. progress: goes on from its cursor, and is told how far it is.
        Raises Overloaded while another one runs here, Absent, field `index`, and what the storage raises.
        """
        if self._running.locked():
            raise Overloaded("A comparison is under way.", retry_after_seconds=10.0)
        async with self._running:
            began = time.monotonic()
            served = self._served(index)
            space = served.space
            progress = progress or Progress()
            step, _, place = progress.cursor.partition("/")
            report = Report.going_on(served.index.id, space.buckets, progress.counts)
            if step != _ORIGINALS:
                repairs = Repair(self._catalog, self._log, self._outbox, space, bury=bury) if repair or bury else None
                first = int(place or 0)
                await self._compare_rows(served, first, report, repairs, progress, full=full or repairs is not None)
                place = ""
            originals = OriginalsComparison(self._catalog, self._blobs, self._grace_seconds, report)
            await originals.run(place, lambda sha256: _tell(progress, f"{_ORIGINALS}/{sha256}", report))
            report.took_seconds = time.monotonic() - began
            self._publish(report)
            return report

    async def _compare_rows(
        self,
        served: PlacedIndex,
        first_class: int,
        report: Report,
        repairs: Repair | None,
        progress: Progress,
        *,
        full: bool,
    ) -> None:
        while await self._catalog.fill_buckets(_FILLED_AT_ONCE) == _FILLED_AT_ONCE:
            pass
        progress.counts["pictures"] = await self._count_rows()
        views = ReplicaViews(served)
        async for go in goes(self._catalog, served.space, first_class, progress.counts["pictures"]):
            for of_bucket in go.rows.values():
                report.rows.update(row.state.value for row in of_bucket.values())
            chosen = go.rows.keys() if full else _suspect(go, served.space, await views.digests())
            report.bucket_details += len(chosen)
            rows = {bucket: go.rows[bucket] for bucket in sorted(chosen)}
            if rows:
                await self._compare(rows, served.space, views, report, repairs)
            report.replicas = views.left_out
            _tell(progress, f"{_ROWS}/{go.following}", report)
        _tell(progress, f"{_ORIGINALS}/", report)

    async def _count_rows(self) -> int:
        counts = await self._catalog.counts()
        return sum(counts[state] for state in PictureState)

    async def _compare(
        self,
        rows: dict[int, dict[int, Row]],
        space: Space,
        views: ReplicaViews,
        report: Report,
        repairs: Repair | None,
    ) -> None:
        tails = LogTails(self._log, space.vectors_topic, rows.keys())
        seen = await self._differences(rows, tails, views)
        if seen:
            report.settled &= await self._settled(space)
            suspects = {bucket: rows[bucket] for bucket in {one.bucket for one in seen}}
            again = await rows_of_pictures(self._catalog, space, {one.image_id for one in seen})
            for one in seen:
                if one.image_id in again:
                    suspects[one.bucket][one.image_id] = again[one.image_id]
            seen &= await self._differences(suspects, tails, views)
        if not report.settled:
            seen = {one for one in seen if not ABOUT[one.kind].on_its_way}
        report.add(sorted(seen, key=lambda one: one.image_id))
        if repairs is not None:
            report.repaired.update(await repairs.mend(seen, tails))

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

    def _served(self, index: str) -> PlacedIndex:
        if not index:
            return self._live()
        placed = self._placed(index)
        if placed is None:
            raise Absent(f"There is no index {index[:80]!r}.", field="index")
        return placed

    async def _settled(self, space: Space) -> bool:
        """Whether every event that was due is sent, and handled by the indexer."""
        group = indexer_group(space.id)
        try:
            async with asyncio.timeout(self._settle_seconds):
                await self._outbox.send_unsent()
                await wait_until_handled(self._log, IMAGES_TOPIC, group)
        except TimeoutError:
            return False
        return True

    def _publish(self, report: Report) -> None:
        for kind in DifferenceKind:
            DIFFERENCES.labels(kind).set(report.counts[kind] - report.repaired[kind])
        VERIFIED_AT.set(self._now())
        logger.info("verified", extra={"clean": report.clean, "took_seconds": round(report.took_seconds, 1)})


def _suspect(go: Go, space: Space, said: Mapping[tuple[int, int], BucketDigests]) -> set[int]:
    """Buckets of the go in which a row waits, or that a replica holds otherwise."""
    rows = go.digests(space.buckets)
    suspect = go.waiting()
    for digests in said.values():
        for at, bucket in enumerate(digests.buckets):
            held = (digests.pictures[at], digests.sums[at])
            if bucket in go.rows and held != (rows.pictures[bucket], rows.sums[bucket]):
                suspect.add(bucket)
    return suspect


def _tell(progress: Progress, cursor: str, report: Report) -> None:
    """Cursor and counts together: whoever goes on counts nothing twice."""
    total = progress.counts["pictures"]
    progress.counts.clear()
    progress.counts.update(report.numbers() | {"pictures": total, "looked_at": report.rows.total()})
    progress.cursor = cursor

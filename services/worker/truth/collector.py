"""Collects what no row needs: originals and thumbnails of pictures that were deleted, replaced or never became rows."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from omma.blobs.interface import ORIGINALS, THUMBNAILS, Blobs, original_key, sha256_of_key, thumbnail_key
from omma.catalog.interface import Catalog
from omma.catalog.orphan import Needs, Orphan
from omma.errors import OmmaError, causes
from omma.identity import Sha256
from omma.telemetry.metrics import COLLECTED
from services.worker.jobs.progress import Progress

_LEASE_SECONDS: Final = 120.0
_DELETING_SECONDS: Final = 10.0
"""From when orphans are taken, for deletions to begin. The rest of the lease is for the last of them to end, with all
tries of an object storage: nothing of ours is on its way any more when somebody else concludes that it is not."""
_AT_ONCE: Final = 200
_CONCURRENT: Final = 8
_EXPIRED_AT_ONCE: Final = 1_000
_KEYS_AT_ONCE: Final = 1_000
_ANY_KEY: Final = original_key(Sha256("0" * 64))
"""Which need not be there: whether the storage answers."""

logger = logging.getLogger(__name__)


class Collector:
    """Deletes bytes, safe against writers of rows (ADR 0015) and other collectors. Every step may be repeated."""

    def __init__(
        self, catalog: Catalog, blobs: Blobs, grace_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """grace_seconds: how long a deleted picture can be restored. clock: seconds, of this process."""
        self._catalog = catalog
        self._blobs = blobs
        self._grace_seconds = grace_seconds
        self._clock = clock

    async def collect(self, progress: Progress) -> None:
        """Delete what has been an orphan for longer than the grace, and what was said of pictures deleted before.

        What its storage does not delete, though it answers, is counted as `left` and holds nothing else up: the next
        collector tries it again.
        """
        first = None
        while True:
            until = self._clock() + _DELETING_SECONDS
            first = until if first is None else first
            if progress.counts["left"] and until >= first + _LEASE_SECONDS:
                break  # what is left would come again
            taken = await self._catalog.take_orphans(self._grace_seconds, _AT_ONCE, _LEASE_SECONDS)
            if not taken:
                break
            needs = await self._catalog.needs([one.sha256 for one in taken], self._grace_seconds)
            needed = [one for one in taken if one.sha256 in needs.originals]
            others = [one for one in taken if one.sha256 not in needs.originals]
            gone = await self._delete(others, needs, until, progress)
            await self._catalog.end_orphans(gone, needed)
            for outcome, count in (("collected", len(gone)), ("needed", len(needed))):
                progress.counts[outcome] += count
                COLLECTED.labels(outcome).inc(count)
        while await self._catalog.expire_deleted(self._grace_seconds, _EXPIRED_AT_ONCE) == _EXPIRED_AT_ONCE:
            pass

    async def sweep(self, progress: Progress) -> None:
        """Look at every original and thumbnail, from the cursor on: the grace of those that no row needs begins.

        Of bytes whose row was lost, or never written.
        """
        for prefix in (ORIGINALS, THUMBNAILS):
            # Of the two, originals come first also in the order of keys.
            after = progress.cursor if progress.cursor > prefix else ""
            async for keys in self._pages(prefix, after):
                named = {key: sha256 for key in keys if (sha256 := sha256_of_key(key)) is not None}
                needs = await self._catalog.needs(named.values(), self._grace_seconds)
                needed = needs.originals if prefix == ORIGINALS else needs.thumbnails
                lost = set(named.values()) - needed
                if lost:
                    await self._catalog.note_orphans(lost)
                progress.counts["looked_at"] += len(keys)
                progress.counts["without_row"] += len(lost)
                progress.cursor = keys[-1]

    async def _delete(self, orphans: Sequence[Orphan], needs: Needs, until: float, progress: Progress) -> list[Orphan]:
        """Those whose bytes are deleted; the others were not begun in time, or are left, and are taken again.

        Raises what the storage does where it does not answer.
        """
        gone: list[Orphan] = []
        left: dict[Sha256, Exception] = {}
        turns = asyncio.Semaphore(_CONCURRENT)

        async def delete(one: Orphan) -> None:
            async with turns:
                if self._clock() >= until:
                    return
                try:
                    await self._blobs.delete(original_key(one.sha256))
                    if one.sha256 not in needs.thumbnails:
                        await self._blobs.delete(thumbnail_key(one.sha256))
                except Exception as error:  # noqa: BLE001  whatever it is, it is not the others'
                    await self._blobs.size(_ANY_KEY)
                    left[one.sha256] = error
                else:
                    gone.append(one)

        try:
            async with asyncio.TaskGroup() as group:
                for one in orphans:
                    group.create_task(delete(one))
        except* OmmaError as failed:
            raise failed.exceptions[0] from None
        if left:
            progress.counts["left"] += len(left)
            sha256, error = next(iter(left.items()))
            extra = {"count": len(left), "sha256": sha256, "reason": causes(error)}
            logger.warning("bytes cannot be deleted and are left for another time", extra=extra)
        return gone

    async def _pages(self, prefix: str, after: str) -> AsyncIterator[list[str]]:
        page: list[str] = []
        async for key in self._blobs.keys(prefix, after):
            page.append(key)
            if len(page) == _KEYS_AT_ONCE:
                yield page
                page = []
        if page:
            yield page

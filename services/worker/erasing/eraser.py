"""Erases: from the rows that say nothing any more to the last byte, each step idempotent, in an order that no restart
of any process undoes.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from omma.backlog import wait_until_handled
from omma.catalog.erasure import Erasure
from omma.catalog.interface import Catalog
from omma.catalog.job import JobId
from omma.errors import WrongState
from omma.identity import ImageId, Tenant
from omma.log.interface import Log
from omma.records import INTERACTIONS_TOPIC
from services.nn_shard.client import MAX_ERASED
from services.worker.erasing.log_traces import LogTraces
from services.worker.erasing.shard_traces import ShardTraces
from services.worker.jobs.progress import Progress
from services.worker.recording import INTERACTIONS_GROUP
from services.worker.truth.collector import Collector

_PAUSE_SECONDS: Final = 1.0
_UNREACHED: Final = (
    "originals that Omma only refers to, in your folders and buckets",
    "backups, exports, and what browsers and proxies keep",
    "older versions of objects where a bucket keeps them, what MinIO has in its own trash for some minutes, and "
    "PostgreSQL's own log and free pages",
    "the sha256 of their bytes, for an hour",
    "ids of pictures in omma.images, as in the catalog, and in omma.interactions for its retention",
    "what models and codebooks learned from them",
)
"""What the report says of what nobody erases here."""


class Eraser:
    """within_seconds: then it is said what is left; who asks again lets it go on."""

    def __init__(
        self,
        catalog: Catalog,
        log: Log,
        traces: LogTraces,
        shards: ShardTraces,
        collector: Collector,
        *,
        grace_seconds: float,
        within_seconds: float,
    ) -> None:
        """grace_seconds: of bytes that are not erased."""
        self._catalog = catalog
        self._log = log
        self._traces = traces
        self._shards = shards
        self._collector = collector
        self._grace_seconds = grace_seconds
        self._within_seconds = within_seconds

    async def erase(self, tenant: Tenant, job: JobId, progress: Progress) -> Mapping[str, Any]:
        """Everything of the tenant's open erasures. Returns the report. Raises WrongState when time is up."""
        began, at, orders = time.monotonic(), "rows", 0
        try:
            async with asyncio.timeout(self._within_seconds):
                while erased := await self._catalog.erasures(tenant, MAX_ERASED):
                    orders += 1
                    progress.counts["pictures"] += len(erased)
                    ids = [one.image_id for one in erased]
                    at = "records of the log"
                    await self._traces.clear(tenant, erased, progress)
                    # After the log: a shard that starts anew reads it.
                    at = "files and snapshots of shards"
                    await self._shards.clear(f"{job}.{orders}", ids, progress)
                    at = "originals and thumbnails"
                    await self._collect(erased, progress)
                    at = "interactions"
                    await self._forget_interactions(tenant, ids, progress)
                    at = "files of the catalog"
                    await self._catalog.end_erasures(tenant, ids)
                    progress.counts["looked_at"] += len(erased)
                await self._catalog.scrub()
        except TimeoutError:
            raise WrongState(
                f"After {self._within_seconds:g} s something is left: {at}. See that all parts run, and erase again: "
                "it goes on where it is."
            ) from None
        counts = progress.counts
        return {
            "pictures": counts["pictures"],
            "log_records": counts["log_records"],
            "replicas": counts["replicas"],
            "blobs": counts["collected"],
            "blobs_of_others": counts["needed"],
            "interactions": counts["interactions"],
            "seconds": round(time.monotonic() - began, 1),
            "not_reached": list(_UNREACHED),
        }

    async def _collect(self, erased: Sequence[Erasure], progress: Progress) -> None:
        wanted = {one.sha256 for one in erased}
        while True:
            await self._collector.collect(progress)
            # Another collector may have some of them for a while.
            if not await self._catalog.overdue(wanted, self._grace_seconds):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _forget_interactions(self, tenant: Tenant, ids: Sequence[ImageId], progress: Progress) -> None:
        if any(spec.name == INTERACTIONS_TOPIC for spec in await self._log.topics()):
            await wait_until_handled(self._log, INTERACTIONS_TOPIC, INTERACTIONS_GROUP)
        progress.counts["interactions"] += await self._catalog.forget_interactions(tenant, ids)

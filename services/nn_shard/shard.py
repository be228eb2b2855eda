"""One shard in one process: its replica, maintenance and trainer, started and stopped together."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import faiss

from omma.blobs.interface import Blobs
from omma.catalog.interface import Catalog
from omma.drift import Drift
from omma.errors import Absent, Corrupt, Kind, OmmaError
from omma.identity import ImageId
from omma.index import Index
from omma.log.interface import Log
from omma.priority import lower_thread
from omma.space import Space
from omma.telemetry import metrics
from omma.telemetry.context import run_in
from services.nn_shard.codebooks import Codebooks
from services.nn_shard.engine import Codebook
from services.nn_shard.erasing import Erasing
from services.nn_shard.lease import Lease
from services.nn_shard.local import LocalShard
from services.nn_shard.maintenance import Maintenance
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings
from services.nn_shard.snapshot import Snapshots
from services.nn_shard.supervision import SOON_SECONDS, kept_going, repeated
from services.nn_shard.training.sampling import LogSample
from services.nn_shard.training.trainer import Trainer, find_index

_PASSING: Final = frozenset({Kind.OVERLOADED, Kind.REPLICA_DOWN, Kind.STORAGE_FULL, Kind.OUT_OF_TIME})
"""Kinds of errors that may be gone at the next try."""

_GAUGES: Final = (
    metrics.SHARD_LIVE_VECTORS,
    metrics.SHARD_DEAD_ROWS,
    metrics.SHARD_HEAD_ROWS,
    metrics.SHARD_SEGMENTS,
    metrics.SHARD_QUEUE_QUERIES,
    metrics.SHARD_SNAPSHOT_AT,
    metrics.SHARD_STALE,
    metrics.SHARD_LAG_RECORDS,
    metrics.SHARD_LIST_IMBALANCE,
    metrics.SHARD_QUANTISATION_ERROR,
    metrics.SHARD_RECENT_FIT,
    metrics.SHARD_REBUILD_PROPOSED,
)
"""What is told of a shard as long as it runs: of a retired index's nothing is true any more."""

logger = logging.getLogger(__name__)


class Shard:
    """`client` answers once `run` has loaded; the index must be in the catalog. Belongs to one event loop."""

    def __init__(
        self,
        *,
        folder: Path,
        space: Space,
        index: Index,
        shard: int,
        log: Log,
        blobs: Blobs,
        catalog: Catalog,
        settings: ShardSettings,
        holder: str,
    ) -> None:
        """folder: this replica's own. holder: of leases, unique to this process."""
        self._index = index
        self._shard = shard
        self._catalog = catalog
        self._settings = settings
        self._lag = 0
        self._drift: Drift | None = None
        _one_faiss_thread()  # the loop's: short searches run on it
        self._search = ThreadPoolExecutor(settings.search_threads, "shard-search", _one_faiss_thread)
        self._writer = ThreadPoolExecutor(1, "shard-apply", _one_faiss_thread)
        self._maintainer = ThreadPoolExecutor(1, "shard-maintain", _in_the_background)
        self._merger = ThreadPoolExecutor(1, "shard-merge", _in_the_background)
        place = f"{index.id}/{shard}-of-{index.shards}"
        holder = (
            f"{holder}/{secrets.token_hex(4)}"  # those of one process are as much rivals for a lease as those of two
        )
        self._codebooks = Codebooks(blobs, folder / "codebooks", self._maintainer)
        self._snapshots = Snapshots(blobs, f"snapshots/{place}", self._search, keep=settings.keep_snapshots)
        self.replica = Replica(
            folder=folder / "engine",
            space=space,
            index=index.id,
            log=log,
            settings=settings,
            writer=self._writer,
            maintenance=(self._maintainer, self._merger),
        )
        self._erasing = Erasing(self._erase)
        self.client = LocalShard(
            self.replica,
            shard=shard,
            shards=index.shards,
            executor=self._search,
            settings=settings,
            lag=lambda: self._lag,
            drift=lambda: self._drift,
            erasing=self._erasing.done,
        )
        self.maintenance = Maintenance(
            self.replica,
            self._snapshots,
            self._codebooks,
            # Renewed at each snapshot, so that the same replica writes the next one.
            lease=Lease(catalog, f"snapshot:{place}", holder, 60 + 2 * settings.snapshot_seconds),
            sealing=self._maintainer,
            merging=self._merger,
            settings=settings,
        )
        self.trainer = Trainer(
            self.replica,
            catalog,
            self._codebooks,
            lease=Lease(catalog, f"codebook:{index.id}", holder, settings.training_lease_seconds),
            executor=self._merger,
            settings=settings,
            others=LogSample(log, space, shard, index.shards),
        )

    async def run(self) -> None:
        """Load, follow the log and maintain until cancelled; then write a checkpoint and release everything.

        What cannot be reached is waited for. Raises Absent when the catalog has no such index.
        """
        try:
            await self._load_when_possible()
            async with asyncio.TaskGroup() as group:
                for part in (
                    self.replica.follow,
                    self.maintenance.run,
                    self._erasing.run,
                    self.trainer.run,
                    self._observe,
                    self._measure,
                ):
                    group.create_task(part(), name=f"{self._index.id}: {part.__qualname__}")
        finally:
            await self._stop()

    async def build(self) -> bool:
        """While `run` runs: wait until it has caught up, and give it its codebook now; True when it lacks nothing.

        False while another shard trains the codebook: try again. What a new index waits for before it is compared.
        """
        await self.replica.until_ready()
        await self.trainer.look()
        await self.maintenance.work_off()
        engine = self.replica.loaded()
        return engine.codebook is not None or not self.trainer.is_due(engine)

    async def _erase(self, image_ids: Sequence[ImageId]) -> bool:
        return await self.maintenance.erase(image_ids)

    async def _load_when_possible(self) -> None:
        refused = await kept_going(
            "loading",
            self._index.id,
            self._load,
            self._settings.log_retry_seconds,
            longest_wait_seconds=SOON_SECONDS,
        )
        if refused is not None:
            raise refused

    async def _load(self) -> OmmaError | None:
        """Returns the error that no other try mends, such as an index that is in no catalog."""
        try:
            index = await find_index(self._catalog, self._index.id)
            codebook = None if index.codebook is None else await self._codebook(index.codebook)
            await self.replica.load(self._shard, self._index.shards, codebook, self._snapshots)
        except OmmaError as error:
            if error.kind in _PASSING:
                raise
            return error
        return None

    async def _codebook(self, sha256: str) -> Codebook | None:
        try:
            return await self._codebooks.load(sha256)
        except (Absent, Corrupt) as error:
            logger.error("Without codebook %s this shard searches exactly, and slowly: %s", sha256, error.detail)
            return None

    async def _stop(self) -> None:
        try:
            await self.maintenance.stop()
        except (OmmaError, OSError) as error:
            logger.error("No last checkpoint of %s, the next start replays more: %s", self._index.id, error)
        for executor in (self._search, self._writer, self._maintainer, self._merger):
            await asyncio.to_thread(executor.shutdown)
        if self.replica.engine is not None:
            self.replica.engine.close()
        for gauge in _GAUGES:
            with suppress(KeyError):
                gauge.remove(self._index.id, str(self._shard))

    async def _observe(self) -> None:
        await repeated(
            "observing",
            self._index.id,
            self._look,
            self._settings.lag_check_seconds,
            longest_wait_seconds=SOON_SECONDS,
        )

    async def _measure(self) -> None:
        await repeated("measuring", self._index.id, self._look_at_drift, self._settings.drift_seconds)

    async def _look_at_drift(self) -> None:
        engine = self.replica.loaded()
        drift = await run_in(self._maintainer, engine.drift)
        if drift is None:
            return
        self._drift = replace(drift, rebuild=self.trainer.proposed(engine))
        labels = (self._index.id, str(self._shard))
        metrics.SHARD_LIST_IMBALANCE.labels(*labels).set(drift.list_imbalance)
        metrics.SHARD_QUANTISATION_ERROR.labels(*labels).set(drift.quantisation_error)
        metrics.SHARD_RECENT_FIT.labels(*labels).set(drift.recent_fit)
        metrics.SHARD_REBUILD_PROPOSED.labels(*labels).set(bool(self._drift.rebuild))

    async def _look(self) -> None:
        labels = (self._index.id, str(self._shard))
        counts = self.replica.loaded().counts()
        metrics.SHARD_LIVE_VECTORS.labels(*labels).set(counts.live)
        metrics.SHARD_DEAD_ROWS.labels(*labels).set(counts.dead_rows)
        metrics.SHARD_HEAD_ROWS.labels(*labels).set(counts.head_rows)
        metrics.SHARD_SEGMENTS.labels(*labels).set(counts.segments)
        metrics.SHARD_QUEUE_QUERIES.labels(*labels).set(self.client.waiting)
        metrics.SHARD_SNAPSHOT_AT.labels(*labels).set(self.maintenance.snapshot_written_at)
        metrics.SHARD_STALE.labels(*labels).set(self.replica.stale)
        # Last: it fails while the log is away.
        self._lag = await self.replica.lag()
        metrics.SHARD_LAG_RECORDS.labels(*labels).set(self._lag)
        metrics.SHARD_STALE.labels(*labels).set(self.replica.stale)


def _one_faiss_thread() -> None:
    # OpenMP's count is the calling thread's own, and of a node's cores unless told, whatever the container's quota is:
    # parallelism is one call a thread, as many threads as the settings say.
    faiss.omp_set_num_threads(1)


def _in_the_background() -> None:
    _one_faiss_thread()
    lower_thread()

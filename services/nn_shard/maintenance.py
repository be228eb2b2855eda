"""Background work on the engine's files: sealing, merging, checkpoints and snapshots, on one niced thread."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor

from omma.catalog.interface import Catalog
from omma.errors import OmmaError
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_MAINTENANCE_SECONDS
from services.nn_shard.checkpoint import Stamp
from services.nn_shard.engine import Checkpoint, Engine
from services.nn_shard.engine.engine import Cut
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings
from services.nn_shard.snapshot import Snapshots

logger = logging.getLogger(__name__)


class Maintenance:
    """Never stops searches or applying. A full disk is said in the log and tried again."""

    def __init__(
        self,
        replica: Replica,
        snapshots: Snapshots,
        catalog: Catalog,
        executor: Executor,
        settings: ShardSettings,
        *,
        lease: str,
        holder: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """executor: one thread. lease: its name in the catalog; of the replicas of a shard, one writes snapshots."""
        self._replica = replica
        self._snapshots = snapshots
        self._catalog = catalog
        self._executor = executor
        self._settings = settings
        self._lease = lease
        self._holder = holder
        self._now = now
        self._stopping = False
        self._checkpointed: dict[int, int] | None = None
        self._files = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        checkpoint_at = self._now() + self._settings.checkpoint_seconds
        snapshot_at = self._now() + self._settings.snapshot_seconds
        while True:
            await asyncio.sleep(self._settings.maintenance_seconds)
            try:
                worked = await self.work_off()
                if self._settings.snapshot_seconds and self._now() >= snapshot_at:
                    snapshot_at = self._now() + self._settings.snapshot_seconds
                    await self.snapshot()
                elif self._now() >= checkpoint_at and (worked or self._is_ahead()):
                    checkpoint_at = self._now() + self._settings.checkpoint_seconds
                    await self.checkpoint()
            except (OmmaError, OSError) as error:
                logger.error("Maintenance of %s failed and is tried again: %s", self._replica.index, error)
            finally:
                self._replica.maintained()

    async def work_off(self) -> bool:
        """Do what the engine plans until it plans nothing; True when there was something."""
        return await run_in(self._executor, self._work_off)

    async def checkpoint(self) -> None:
        """Make what is applied now durable, so that a restart replays only what comes after."""
        async with self._files:
            await self._checkpoint()

    async def snapshot(self) -> bool:
        """Checkpoint, and upload it; False when another replica of the shard is doing so. Raises StorageFull."""
        ttl_seconds = max(60.0, self._settings.snapshot_seconds)
        if not await self._catalog.acquire_lease(self._lease, self._holder, ttl_seconds):
            return False
        try:
            async with self._files:  # the next checkpoint may remove files that are being uploaded
                checkpoint = await self._checkpoint()
                if checkpoint is not None:
                    with SHARD_MAINTENANCE_SECONDS.labels("snapshot").time():
                        await self._snapshots.write(checkpoint, self._replica.folder)
        finally:
            await self._catalog.release_lease(self._lease, self._holder)
        return checkpoint is not None

    async def stop(self) -> None:
        """After `run` has ended: let the task under way end, begin no other, and write the last checkpoint."""
        self._stopping = True
        if self._replica.engine is not None and self._is_ahead():
            await self.checkpoint()

    def _is_ahead(self) -> bool:
        return self._checkpointed != self._replica.next_offsets

    async def _checkpoint(self) -> Checkpoint | None:
        engine, cut, stamp = await self._replica.cut()
        checkpoint = await run_in(self._executor, self._write, engine, cut, stamp)
        if checkpoint is not None:
            self._checkpointed = dict(stamp.next_offsets)
        return checkpoint

    def _write(self, engine: Engine, cut: Cut, stamp: Stamp) -> Checkpoint | None:
        if engine is not self._replica.engine:  # replaced meanwhile, on this thread, and the folder with it
            return None
        with SHARD_MAINTENANCE_SECONDS.labels("checkpoint").time():
            return engine.checkpoint(cut, stamp.to_json())

    def _work_off(self) -> bool:
        engine = self._replica.engine
        worked = False
        while engine is not None and not self._stopping and (task := engine.plan()) is not None:
            with SHARD_MAINTENANCE_SECONDS.labels("task").time():
                task.run()
            engine.install(task)
            worked = True
        return worked

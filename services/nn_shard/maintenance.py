"""Background work on the engine's files: sealing, merging, checkpoints and snapshots, on one niced thread."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_MAINTENANCE_SECONDS
from services.nn_shard.checkpoint import Stamp
from services.nn_shard.codebooks import Codebooks
from services.nn_shard.engine import Abandoned, Checkpoint, Engine, Task
from services.nn_shard.engine.engine import Cut
from services.nn_shard.lease import Lease
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings
from services.nn_shard.snapshot import Snapshots
from services.nn_shard.supervision import repeated

logger = logging.getLogger(__name__)


class Maintenance:
    """Never stops searches. Applying goes on until the head is at its bound; then it waits for room on the disk."""

    def __init__(
        self,
        replica: Replica,
        snapshots: Snapshots,
        codebooks: Codebooks,
        *,
        lease: Lease,
        executor: Executor,
        settings: ShardSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """executor: one thread. lease: of a shard's snapshots; of its replicas the holder writes them."""
        self._replica = replica
        self._snapshots = snapshots
        self._codebooks = codebooks
        self._lease = lease
        self._executor = executor
        self._settings = settings
        self._now = now
        self._checkpoint_at = now() + settings.checkpoint_seconds
        self._snapshot_at = now() + settings.snapshot_seconds
        self._task: Task | None = None
        self._stopping = False
        self._worked = False
        self._checkpointed: dict[int, int] | None = None
        self._files = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled. What fails is said, counted and tried again, ever more slowly; the rest goes on."""
        index, pause = self._replica.index, self._settings.maintenance_seconds
        sealing_failed = partial(self._replica.failed, "sealing")
        async with asyncio.TaskGroup() as group:
            group.create_task(repeated("sealing", index, self._seal_and_merge, pause, failed=sealing_failed))
            group.create_task(repeated("checkpoint", index, self._checkpoint_when_due, pause))
            group.create_task(repeated("snapshot", index, self._snapshot_when_due, pause))

    async def work_off(self) -> bool:
        """Do what the engine plans until it plans nothing; True when there was something."""
        return await run_in(self._executor, self._work_off, asyncio.get_running_loop())

    async def checkpoint(self) -> None:
        """Make what is applied now durable, so that a restart replays only what comes after."""
        async with self._files:
            await self._checkpoint()

    async def snapshot(self) -> bool:
        """Checkpoint, and upload it; False when that is another replica's to do. Raises LeaseLost, StorageFull.

        The lease is kept until this replica stops, dies or falls behind: only snapshots of one replica share files. One
        that is behind writes none, since its snapshot would push better ones out.
        """
        if not self._replica.ready or self._replica.stale:
            await self._lease.release_if_held()
            return False
        if not await self._lease.acquire():
            return False
        return await self._lease.run(self._snapshot())

    async def stop(self) -> None:
        """After `run` has ended: drop the merge under way, let a sealing end, and write the last checkpoint."""
        self._stopping = True
        task = self._task
        if task is not None and not task.urgent:
            task.abandon()
        try:
            if self._replica.engine is not None and self._is_ahead():
                await self.checkpoint()
        finally:
            await self._lease.release_if_held()

    async def _seal_and_merge(self) -> None:
        await self.work_off()
        self._replica.maintained()

    async def _checkpoint_when_due(self) -> None:
        if self._now() >= self._checkpoint_at and (self._worked or self._is_ahead()):
            await self.checkpoint()
            self._worked = False
            self._checkpoint_at = self._now() + self._settings.checkpoint_seconds

    async def _snapshot_when_due(self) -> None:
        if self._settings.snapshot_seconds and self._now() >= self._snapshot_at:
            await self.snapshot()
            self._snapshot_at = self._now() + self._settings.snapshot_seconds

    def _is_ahead(self) -> bool:
        return self._checkpointed != self._replica.next_offsets

    async def _snapshot(self) -> bool:
        async with self._files:  # the next checkpoint may remove files that are being uploaded
            checkpoint = await self._checkpoint()
            if checkpoint is None:
                return False
            with SHARD_MAINTENANCE_SECONDS.labels("snapshot").time():
                codebook = self._replica.loaded().codebook
                if codebook is not None:
                    await self._codebooks.ensure(codebook)
                await self._snapshots.write(checkpoint, self._replica.folder, self._lease.require)
        return True

    async def _checkpoint(self) -> Checkpoint | None:
        engine, cut, stamp = await self._replica.cut()
        checkpoint = await run_in(self._executor, self._write, engine, cut, stamp)
        self._replica.maintained()
        if checkpoint is not None:
            self._checkpointed = dict(stamp.next_offsets)
        return checkpoint

    def _write(self, engine: Engine, cut: Cut, stamp: Stamp) -> Checkpoint | None:
        if engine is not self._replica.engine:  # replaced meanwhile, on this thread, and the folder with it
            return None
        with SHARD_MAINTENANCE_SECONDS.labels("checkpoint").time():
            return engine.checkpoint(cut, stamp.to_json())

    def _work_off(self, loop: asyncio.AbstractEventLoop) -> bool:
        engine = self._replica.engine
        worked = False
        while engine is not None and not self._stopping and (task := engine.plan()) is not None:
            self._task = task
            try:
                with SHARD_MAINTENANCE_SECONDS.labels("task").time():
                    task.run()
            except Abandoned:
                break
            finally:
                self._task = None
            engine.install(task)
            worked = self._worked = True
            # Not only when all is done: applying may wait for this sealing, and a long merge follow it.
            loop.call_soon_threadsafe(self._replica.maintained)
        return worked

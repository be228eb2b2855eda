"""Background work on the engine's files, on niced threads: one seals and writes checkpoints, another one merges."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from functools import partial

from omma.identity import ImageId
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_MAINTENANCE_SECONDS
from services.nn_shard.checkpoint import Stamp
from services.nn_shard.codebooks import Codebooks
from services.nn_shard.engine import Abandoned, Checkpoint, Engine, Task, Work
from services.nn_shard.engine.engine import Cut
from services.nn_shard.lease import Lease
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings
from services.nn_shard.snapshot import Snapshots
from services.nn_shard.supervision import repeated

logger = logging.getLogger(__name__)


class Maintenance:
    """Never stops searches. Applying goes on until the head is at its bound; then it waits for room on the disk, never
    for a merge.
    """

    def __init__(
        self,
        replica: Replica,
        snapshots: Snapshots,
        codebooks: Codebooks,
        *,
        lease: Lease,
        sealing: Executor,
        merging: Executor,
        settings: ShardSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """sealing, merging: one thread each. lease: of a shard's snapshots; of its replicas the holder writes them."""
        self._replica = replica
        self._snapshots = snapshots
        self._codebooks = codebooks
        self._lease = lease
        self._sealing = sealing
        self._merging = merging
        self._settings = settings
        self._now = now
        self._checkpoint_at = now() + settings.checkpoint_seconds
        self._snapshot_at = now() + settings.snapshot_seconds
        self._merge: Task | None = None
        self._stopping = False
        self._worked = False
        self._checkpointed: dict[int, int] | None = None
        self._files = asyncio.Lock()
        self.snapshot_written_at = time.time() if settings.snapshot_seconds else 0.0
        """Seconds since 1970; before the first one, when this began. 0: none is wanted."""

    async def run(self) -> None:
        """Until cancelled. What fails is said, counted and tried again, ever more slowly; the rest goes on."""
        index, pause = self._replica.index, self._settings.maintenance_seconds
        sealing_failed = partial(self._replica.failed, "sealing")
        async with asyncio.TaskGroup() as group:
            group.create_task(repeated("sealing", index, self._seal, pause, failed=sealing_failed))
            group.create_task(repeated("merging", index, self._encode_and_merge, pause))
            group.create_task(repeated("checkpoint", index, self._checkpoint_when_due, pause))
            group.create_task(repeated("snapshot", index, self._snapshot_when_due, pause))

    async def work_off(self) -> bool:
        """Do what the engine plans until it plans nothing; True when there was something."""
        sealed = await self._seal()
        return await self._encode_and_merge() or sealed

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

    async def erase(self, image_ids: Sequence[ImageId]) -> bool:
        """Nothing of these pictures lies in the files, nor in a snapshot that this replica is the one to write; False
        where that cannot be yet: a delete was not applied, a file cannot be removed, or this replica is behind. Raises
        as `snapshot`.
        """
        if not self._replica.ready or self._replica.stale:
            return False
        async with self._files:
            engine = self._replica.loaded()
            if await self._checkpoint() is None:
                return False
            try:
                if not await run_in(self._merging, engine.erase, image_ids):
                    return False
            except Abandoned:
                return False
            if await self._checkpoint() is None or engine is not self._replica.engine or engine.left_behind:
                return False
        if not (self._settings.snapshot_seconds or await self._snapshots.any()):
            return True
        if await self._lease.acquire():
            await self._lease.run(self._snapshot(alone=True))
        return True

    async def stop(self) -> None:
        """After `run` has ended: drop the merge under way, let a sealing end, and write the last checkpoint."""
        self._stopping = True
        if self._merge is not None:
            self._merge.abandon()
        await run_in(self._merging, lambda: None)  # so that the checkpoint names all that is left
        try:
            if self._replica.engine is not None and (self._worked or self._is_ahead()):
                await self.checkpoint()
        finally:
            await self._lease.release_if_held()

    async def _seal(self) -> bool:
        sealed = await run_in(self._sealing, self._work_off, {Work.SEAL})
        self._replica.maintained()
        return sealed

    async def _encode_and_merge(self) -> bool:
        return await run_in(self._merging, self._work_off, {Work.ENCODE, Work.MERGE})

    async def _checkpoint_when_due(self) -> None:
        if self._now() >= self._checkpoint_at and (self._worked or self._is_ahead()):
            await self.checkpoint()
            self._checkpoint_at = self._now() + self._settings.checkpoint_seconds

    async def _snapshot_when_due(self) -> None:
        if self._settings.snapshot_seconds and self._now() >= self._snapshot_at:
            await self.snapshot()
            self._snapshot_at = self._now() + self._settings.snapshot_seconds

    def _is_ahead(self) -> bool:
        return self._checkpointed != self._replica.next_offsets

    async def _snapshot(self, *, alone: bool = False) -> bool:
        """alone: the older ones go."""
        async with self._files:  # the next checkpoint may remove files that are being uploaded
            checkpoint = await self._checkpoint()
            if checkpoint is None:
                return False
            with SHARD_MAINTENANCE_SECONDS.labels("snapshot").time():
                codebook = self._replica.loaded().codebook
                if codebook is not None:
                    await self._codebooks.ensure(codebook)
                await self._snapshots.write(checkpoint, self._replica.folder, self._lease.require, alone=alone)
        self.snapshot_written_at = time.time()
        return True

    async def _checkpoint(self) -> Checkpoint | None:
        self._worked = False  # what is installed from here on may be too late for this one
        try:
            engine, cut, stamp = await self._replica.cut()
            checkpoint = await run_in(self._sealing, self._write, engine, cut, stamp)
        except BaseException:
            self._worked = True
            raise
        self._replica.maintained()
        if checkpoint is not None:
            self._checkpointed = dict(stamp.next_offsets)
        return checkpoint

    def _write(self, engine: Engine, cut: Cut, stamp: Stamp) -> Checkpoint | None:
        if engine is not self._replica.engine:  # replaced meanwhile, on this thread, and the folder with it
            return None
        try:
            with SHARD_MAINTENANCE_SECONDS.labels("checkpoint").time():
                return engine.checkpoint(cut, stamp.to_json())
        except Abandoned:  # about to be replaced
            return None

    def _work_off(self, kinds: Collection[Work]) -> bool:
        worked = False
        while not self._stopping and (engine := self._replica.engine) is not None:
            # Nobody searches it before it has caught up: a row is rewritten once on its way there, and not nine times.
            task = engine.plan(kinds, patient=not self._replica.ready)
            if task is None:
                break
            if task.kind is not Work.SEAL:
                self._merge = task
            try:
                with SHARD_MAINTENANCE_SECONDS.labels("task").time():
                    task.run()
            except Abandoned:
                break
            finally:
                if task is self._merge:
                    self._merge = None
            engine.install(task)
            worked = self._worked = True
        return worked

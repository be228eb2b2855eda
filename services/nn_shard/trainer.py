"""An index's first codebook: trained once, by whichever shard holds the lease, and adopted by all of them."""

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

import numpy as np

from omma.catalog.interface import Catalog
from omma.errors import Absent, OmmaError
from omma.index import Index, IndexId
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_MAINTENANCE_SECONDS
from services.nn_shard.codebooks import Codebooks
from services.nn_shard.engine import Engine
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings

TRAIN_PROCESS: Final = "services.nn_shard.train_process"

logger = logging.getLogger(__name__)


class TrainingFailed(Exception):
    """The trainer's process ended without a codebook. Another try follows."""


class Trainer:
    """Watches the index's row: adopts the codebook that is there, trains it when it is time and nobody else does."""

    def __init__(
        self,
        replica: Replica,
        catalog: Catalog,
        codebooks: Codebooks,
        executor: Executor,
        settings: ShardSettings,
        *,
        shards: int,
        holder: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """executor: for reading the sample. holder: of leases, unique to this process."""
        self._replica = replica
        self._catalog = catalog
        self._codebooks = codebooks
        self._executor = executor
        self._settings = settings
        self._shards = shards
        self._holder = holder
        self._looking = asyncio.Lock()
        self._now = now
        self._said: str | None = None

    async def run(self) -> None:
        """Until cancelled. What fails is said in the log and tried again."""
        while True:
            try:
                await self.look()
            except (OmmaError, OSError, TrainingFailed) as error:
                logger.error("No codebook for %s yet: %s", self._replica.index, error)
            await asyncio.sleep(self._settings.catalog_seconds)

    async def look(self) -> None:
        """One look at the index's row, and what follows from it. Raises TrainingFailed, and what the parts raise."""
        async with self._looking:
            await self._look()

    def is_due(self, engine: Engine) -> bool:
        """Rows enough for a codebook, and all there are: one trained halfway through a replay knows half of them."""
        return self._replica.ready and engine.counts().live * self._shards >= self._settings.engine.train_rows

    async def _look(self) -> None:
        engine = self._replica.engine
        if engine is None:
            return
        if engine.codebook is not None:
            self._say_rebuild(engine)
            return
        index = await find_index(self._catalog, self._replica.index)
        if index.codebook is not None:
            await self._replica.adopt_codebook(await self._codebooks.load(index.codebook))
            logger.info("Adopted codebook %s of %s", index.codebook, index.id)
        elif self.is_due(engine):
            await self._train_as_holder(engine, index)

    async def _train_as_holder(self, engine: Engine, index: Index) -> None:
        lease = f"codebook:{index.id}"
        if not await self._has(lease):
            return
        try:
            index = await find_index(self._catalog, index.id)
            if index.codebook is not None:  # trained by the one who had the lease until now
                return
            codebook = await self._codebooks.publish(await self._train(engine, index.factory, lease))
            if await self._catalog.adopt_codebook(index.id, codebook.id):
                logger.info("Trained codebook %s of %s", codebook.id, index.id)
        finally:
            await self._catalog.release_lease(lease, self._holder)
        await self._look()

    async def _train(self, engine: Engine, factory: str, lease: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="omma-codebook-") as folder:
            sample, codebook = Path(folder) / "sample.npy", Path(folder) / "codebook"
            rows = self._sample_rows(engine.counts().live)
            await run_in(self._executor, lambda: np.save(sample, engine.sample(rows)))
            arguments = (str(sample), str(codebook), factory, str(self._settings.training_threads))
            with SHARD_MAINTENANCE_SECONDS.labels("training").time():
                await self._run_process(arguments, lease)
            return await run_in(self._executor, codebook.read_bytes)

    def _sample_rows(self, live: int) -> int:
        """Enough that the index may double before it outgrows its codebook."""
        settings = self._settings.engine
        return max(settings.train_sample_rows, int(2 * live / settings.rebuild_growth))

    async def _run_process(self, arguments: tuple[str, ...], lease: str) -> None:
        until = self._now() + self._settings.training_max_seconds
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(self._settings.training_threads)}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", TRAIN_PROCESS, *arguments, env=environment)
        try:
            while process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), self._settings.training_lease_seconds / 3)
                if self._now() >= until:
                    raise TrainingFailed(f"it took longer than {self._settings.training_max_seconds} s.")
                if not await self._has(lease):
                    raise TrainingFailed("the lease was lost.")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise TrainingFailed(f"the trainer ended with status {process.returncode}.")

    async def _has(self, lease: str) -> bool:
        return await self._catalog.acquire_lease(lease, self._holder, self._settings.training_lease_seconds)

    def _say_rebuild(self, engine: Engine) -> None:
        proposed = engine.rebuild_proposed
        if proposed is not None and proposed != self._said:
            logger.warning("Index %s would gain from a rebuild: %s", self._replica.index, proposed)
        self._said = proposed


async def find_index(catalog: Catalog, index: IndexId) -> Index:
    """Its row as it is now. Raises Absent."""
    for one in await catalog.indexes():
        if one.id == index:
            return one
    raise Absent(f"The catalog has no index {index!r}.", field="index")

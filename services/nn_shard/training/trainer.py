"""An index's first codebook: trained once, by whichever shard holds the lease, and adopted by all of them."""

import asyncio
import logging
import os
import sys
import tempfile
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

import numpy as np

from omma.catalog.interface import Catalog
from omma.errors import Absent
from omma.index import Index, IndexId
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_MAINTENANCE_SECONDS
from services.nn_shard.codebooks import Codebooks
from services.nn_shard.engine import Engine
from services.nn_shard.lease import Lease
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings
from services.nn_shard.supervision import repeated
from services.nn_shard.training.sampling import LogSample

TRAIN_PROCESS: Final = "services.nn_shard.training.process"

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
        *,
        lease: Lease,
        executor: Executor,
        settings: ShardSettings,
        others: LogSample,
    ) -> None:
        """lease: of the index's codebook. executor: for reading the sample. others: what the other shards hold."""
        self._replica = replica
        self._catalog = catalog
        self._codebooks = codebooks
        self._executor = executor
        self._settings = settings
        self._lease = lease
        self._others = others
        self._looking = asyncio.Lock()
        self._said = False

    async def run(self) -> None:
        """Until cancelled. What fails is said in the log and tried again."""
        index, pause = self._replica.index, self._settings.catalog_seconds
        await repeated("training", index, self.look, pause, expected=(TrainingFailed,))

    async def look(self) -> None:
        """One look at the index's row, and what follows from it.

        Raises TrainingFailed, LeaseLost, and what the parts raise.
        """
        async with self._looking:
            await self._look()

    def is_due(self, engine: Engine) -> bool:
        """Rows enough for a codebook, and all there are: one trained halfway through a replay knows half of them."""
        return self._replica.ready and engine.counts().live * self._others.shards >= self._settings.engine.train_rows

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
        if not await self._lease.acquire():
            return
        try:
            index = await find_index(self._catalog, index.id)
            if index.codebook is not None:  # trained by the one who had the lease until now
                return
            trained = await self._lease.run(self._train_in_time(engine, index.factory))
            codebook = await self._codebooks.publish(trained)
            if await self._catalog.adopt_codebook(index.id, codebook.id):
                logger.info("Trained codebook %s of %s", codebook.id, index.id)
        finally:
            await self._lease.release()
        await self._look()

    async def _train_in_time(self, engine: Engine, factory: str) -> bytes:
        seconds = self._settings.training_max_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._train(engine, factory)
        except TimeoutError:
            raise TrainingFailed(f"it took longer than {seconds} s.") from None

    async def _train(self, engine: Engine, factory: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="omma-codebook-") as folder:
            sample, codebook = Path(folder) / "sample.npy", Path(folder) / "codebook"
            rows = self._sample_rows(engine.counts().live * self._others.shards)
            own = await run_in(self._executor, engine.sample, rows)
            # Buckets are a hash of the id: a shard's are a fair sample, but n shards would wait for n times the rows.
            other = await self._others.read(rows - len(own))
            await run_in(self._executor, lambda: np.save(sample, np.concatenate([own, other])))
            arguments = (str(sample), str(codebook), factory, str(self._settings.training_threads))
            with SHARD_MAINTENANCE_SECONDS.labels("training").time():
                await self._run_process(arguments)
            return await run_in(self._executor, codebook.read_bytes)

    def _sample_rows(self, live: int) -> int:
        """Enough that the index may double before it outgrows its codebook."""
        settings = self._settings.engine
        return max(settings.train_sample_rows, int(2 * live / settings.rebuild_growth))

    async def _run_process(self, arguments: tuple[str, ...]) -> None:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(self._settings.training_threads)}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", TRAIN_PROCESS, *arguments, env=environment)
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise TrainingFailed(f"the trainer ended with status {process.returncode}.")

    def proposed(self, engine: Engine) -> str:
        """Why a rebuild as a new index would help, by this shard's rows and the others'; "" while it would not."""
        return engine.rebuild_proposed or self._outgrown(engine) or ""

    def _say_rebuild(self, engine: Engine) -> None:
        proposed = self.proposed(engine)
        if proposed and not self._said:
            logger.warning("Index %s would gain from a rebuild: %s", self._replica.index, proposed)
        self._said = bool(proposed)

    def _outgrown(self, engine: Engine) -> str | None:
        """What one shard's engine cannot know of: the others' rows."""
        rows, codebook = engine.counts().live * self._others.shards, engine.codebook
        if codebook is None or rows <= self._settings.engine.rebuild_growth * codebook.train_rows:
            return None
        return f"about {rows} rows in {self._others.shards} shards, {codebook.train_rows} trained on."


async def find_index(catalog: Catalog, index: IndexId) -> Index:
    """Its row as it is now. Raises Absent."""
    for one in await catalog.indexes():
        if one.id == index:
            return one
    raise Absent(f"The catalog has no index {index!r}.", field="index")

"""An index's first codebook: trained once, by whichever shard holds the lease, and adopted by all of them."""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

import numpy as np

from omma.catalog.interface import Catalog
from omma.errors import Absent
from omma.index import Index, IndexId
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_MAINTENANCE_SECONDS
from omma.vectors import Float16
from services.nn_shard.codebooks import Codebooks
from services.nn_shard.engine import Engine
from services.nn_shard.lease import Lease
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings
from services.nn_shard.supervision import repeated
from services.nn_shard.training.fitting import planned_rows, sample_rows
from services.nn_shard.training.sampling import LogSample

_FOLDER: Final = "codebook-"
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
        await run_in(self._executor, _remove_left, self._replica.folder.parent)
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
        planned = planned_rows(engine.counts().live, self._settings.engine)
        # Beside the shard's files: the system's own folder may lie in memory.
        with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=self._replica.folder.parent) as folder:
            sample, codebook = Path(folder) / "sample", Path(folder) / "codebook"
            await self._write_sample(sample, engine, sample_rows(planned))
            numbers = map(str, (engine.dim, planned, self._settings.training_threads))
            arguments = (str(sample), str(codebook), factory, *numbers)
            with SHARD_MAINTENANCE_SECONDS.labels("training").time():
                await self._run_process(arguments)
            return await run_in(self._executor, codebook.read_bytes)

    async def _write_sample(self, path: Path, engine: Engine, rows: int) -> None:
        """float16, some megabytes of it in memory at a time."""
        written = await run_in(self._executor, _append, path, engine.sample(rows))
        # Buckets are a hash of the id: a shard's are a fair sample, but n shards would wait for n times the rows.
        async for part in self._others.read(rows - written):
            await run_in(self._executor, _append, path, [part])

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
        """Why a rebuild as a new index would help; "" while it would not."""
        return engine.rebuild_proposed or ""

    def _say_rebuild(self, engine: Engine) -> None:
        proposed = self.proposed(engine)
        if proposed and not self._said:
            logger.warning("Index %s would gain from a rebuild: %s", self._replica.index, proposed)
        self._said = bool(proposed)


def _remove_left(folder: Path) -> None:
    """What a death in the midst of a training left."""
    for left in folder.glob(f"{_FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)


def _append(path: Path, parts: Iterable[Float16]) -> int:
    """How many rows they have."""
    rows = 0
    with path.open("ab") as file:
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
            rows += len(part)
    return rows


async def find_index(catalog: Catalog, index: IndexId) -> Index:
    """Its row as it is now. Raises Absent."""
    for one in await catalog.indexes():
        if one.id == index:
            return one
    raise Absent(f"The catalog has no index {index!r}.", field="index")

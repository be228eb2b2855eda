"""A tower that takes jobs, wherever it runs, and the one that runs on threads of this process."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from omma.errors import ReplicaDown
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import EMBED_BATCH_ITEMS, EMBED_SECONDS
from omma.vectors import Float32
from services.egs.client import Urgency
from services.egs.tower import Tower, first_fault
from services.egs.workers import Workers

Job = TypeVar("Job")
Job_contra = TypeVar("Job_contra", contravariant=True)


class RunningTower(Protocol[Job_contra]):
    """Takes a picture's rows, or one text, and answers with its vectors."""

    async def run(self, job: Job_contra, deadline: Deadline, urgency: Urgency = Urgency.SEARCH) -> Float32:
        """float32[rows, dim], L2-normalised. Cancelling it takes the job out of the queue.

        urgency: for a queue that orders by it; one that orders by deadlines has it in those, but for BACKFILL, which
        has threads of its own that come after others.

        Raises the job's own fault (InvalidPicture, InvalidQuery), OutOfTime, ReplicaDown, Corrupt.
        """

    async def ready(self) -> bool:
        """Whether it would take a job now."""

    async def close(self) -> None:
        """What waits fails with ReplicaDown."""


class Batch(Protocol[Job_contra]):
    """What a tower eats, made of several jobs at once."""

    def __call__(self, jobs: Sequence[Job_contra]) -> npt.NDArray[Any]:
        """The jobs' rows one after the other. Blocks."""

    def rows(self, job: Job_contra) -> int:
        """How many rows of the batch are this job's."""


class OpenedOnUse(Generic[Job]):
    """A tower that is loaded by its first job, as few processes have one. Belongs to one event loop."""

    def __init__(self, load: Callable[[], RunningTower[Job]]) -> None:
        """load: blocks."""
        self._load = load
        self._loading = asyncio.Lock()
        self._tower: RunningTower[Job] | None = None
        self._closed = False

    async def run(self, job: Job, deadline: Deadline, urgency: Urgency = Urgency.SEARCH) -> Float32:
        """As RunningTower; Corrupt for a file that is not its manifest's."""
        async with self._loading:
            if self._closed:
                raise ReplicaDown("The embedder is closed.")
            if self._tower is None:
                self._tower = await asyncio.to_thread(self._load)
        return await self._tower.run(job, deadline, urgency)

    async def ready(self) -> bool:
        return not self._closed

    async def close(self) -> None:
        async with self._loading:
            self._closed = True
            if self._tower is not None:
                await self._tower.close()


class ThreadedTower(Generic[Job]):
    """ONNX Runtime behind a micro-batcher, earliest deadline first."""

    def __init__(
        self, tower: Tower, batch: Batch[Job], *, threads: int, max_batch: int, wide: Callable[[int], bool]
    ) -> None:
        """wide: whether a run of so many jobs may take all cores, because no other job is near."""
        self._tower, self._batch, self._wide = tower, batch, wide
        self._workers = Workers(f"egs-{tower.kind}", self._run, threads=threads, max_batch=max_batch)

    async def run(self, job: Job, deadline: Deadline, urgency: Urgency = Urgency.SEARCH) -> Float32:
        return await asyncio.wrap_future(self._workers.submit(job, deadline, yields=urgency is Urgency.BACKFILL))

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        await asyncio.to_thread(self._workers.close)

    def _run(self, jobs: Sequence[Job]) -> list[Float32 | Exception]:
        started = time.perf_counter()
        made = self._tower.run(self._batch(jobs), wide=self._wide(len(jobs)))
        EMBED_BATCH_ITEMS.labels(self._tower.kind).observe(len(jobs))
        EMBED_SECONDS.labels(self._tower.kind).observe(time.perf_counter() - started)
        ends = np.cumsum([self._batch.rows(job) for job in jobs]).tolist()
        starts = [0, *ends[:-1]]
        return [first_fault(made[start:end]) for start, end in zip(starts, ends, strict=True)]

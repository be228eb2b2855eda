"""The embedder on ONNX Runtime, in process."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from omma.errors import Corrupt, NoTextTower, OmmaError, OutOfTime, Overloaded
from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.telemetry.metrics import (
    DECODE_SECONDS,
    EMBED_BATCH_ITEMS,
    EMBED_ITEMS,
    EMBED_QUEUE_ITEMS,
    EMBED_SECONDS,
)
from omma.telemetry.traces import span
from omma.vectors import Float32
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.egs.preprocess import Prepared, Uint8Rows, prepare, tensor
from services.egs.registry import Model
from services.egs.settings import EgsSettings
from services.egs.text import TextSide
from services.egs.tower import Tower, first_fault
from services.egs.workers import Workers


class OnnxEmbedder:
    """Embedder of one model version: decode threads in front of the tower's threads, both earliest deadline first.

    Belongs to one event loop. Holds at most queue_items items; what waits for the tower is kept as bytes, not floats.
    """

    def __init__(self, model: Model, settings: EgsSettings, *, buckets: int = 256) -> None:
        """Raises Corrupt for a tower that does not do what its manifest says. Blocks: call it on a thread."""
        manifest = model.manifest
        self._space = manifest.space(buckets)
        self._how = manifest.preprocessing
        self._limits = settings.limits
        self._queue_items = settings.queue_items
        self._inside = 0
        self._tower = Tower(
            model.path(manifest.image.file),
            "image",
            input=manifest.image.input,
            output=manifest.image.output,
            dim=manifest.dim,
            wide_threads=settings.wide_threads,
        )
        self._text = None if manifest.text is None else TextSide(model, manifest.text, settings)
        self._warm_up()
        self._decoders = Workers("egs-decode", self._prepare_all, threads=settings.decode_threads)
        self._towers = Workers(
            "egs-tower", self._run_tower, threads=settings.model_threads, max_batch=settings.max_batch
        )

    @property
    def space(self) -> Space:
        return self._space

    @property
    def has_text_tower(self) -> bool:
        return self._text is not None

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        """As services.egs.client.Embedder; cancelling it takes its items out of the queues."""
        left = deadline.require()
        if self._inside + len(items) > self._queue_items:
            raise Overloaded(
                f"{self._inside} items wait for the model; send fewer than {self._queue_items} at once.",
                limit=self._queue_items,
                retry_after_seconds=1.0,
            )
        self._inside += len(items)
        EMBED_QUEUE_ITEMS.labels("image").set(self._inside)
        try:
            with span("embed"):
                async with asyncio.timeout(left), asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._answer(item, deadline)) for item in items]
        except TimeoutError:
            raise OutOfTime("The deadline passed before the model had answered.") from None
        finally:
            self._inside -= len(items)
            EMBED_QUEUE_ITEMS.labels("image").set(self._inside)
        answers = [task.result() for task in tasks]
        for answer in answers:
            if isinstance(answer, OutOfTime):
                raise answer
        return answers

    async def close(self) -> None:
        """What waits fails with ReplicaDown; returns when every thread has ended."""
        await asyncio.to_thread(self._decoders.close)
        await asyncio.to_thread(self._towers.close)
        if self._text is not None:
            await asyncio.to_thread(self._text.close)

    async def _answer(self, item: ImageItem | TextItem, deadline: Deadline) -> EmbeddedItem | Exception:
        kind = "image" if isinstance(item, ImageItem) else "text"
        try:
            if isinstance(item, ImageItem):
                answer = await self._embed_picture(item, deadline)
            elif self._text is not None:
                answer = await self._text.embed(item, deadline)
            else:
                raise NoTextTower(f"{self._space.model} has no text tower: search by picture.", field="text")
        except Exception as error:  # noqa: BLE001 - an item's fault is its answer
            EMBED_ITEMS.labels(kind, error.kind.value if isinstance(error, OmmaError) else "bug").inc()
            return error
        EMBED_ITEMS.labels(kind, "ok").inc()
        return answer

    async def _embed_picture(self, item: ImageItem, deadline: Deadline) -> EmbeddedItem:
        prepared = await asyncio.wrap_future(self._decoders.submit(item, deadline))
        vectors = await asyncio.wrap_future(self._towers.submit(prepared.rows, deadline))
        return EmbeddedItem(
            vectors=vectors,
            boxes=prepared.boxes,
            phash=prepared.phash,
            width=prepared.width,
            height=prepared.height,
            thumbnail=prepared.thumbnail,
        )

    def _warm_up(self) -> None:
        """Run each session once: the first run allocates, and shows a graph that is not its manifest's."""
        grey = np.full((1, self._how.size, self._how.size, 3), 128, np.uint8)
        for wide in (False, True):
            (row,) = self._tower.run(tensor(grey, self._how), wide=wide)
            if isinstance(row, Corrupt):
                raise row

    def _prepare_all(self, items: Sequence[ImageItem]) -> list[Prepared | Exception]:
        return [self._prepare(item) for item in items]

    def _prepare(self, item: ImageItem) -> Prepared | Exception:
        started = time.perf_counter()
        try:
            return prepare(item, self._limits, self._how)
        except OmmaError as error:
            return error
        finally:
            DECODE_SECONDS.observe(time.perf_counter() - started)

    def _run_tower(self, jobs: Sequence[Uint8Rows]) -> list[Float32 | Exception]:
        started = time.perf_counter()
        batch = jobs[0] if len(jobs) == 1 else np.concatenate(jobs)
        made = self._tower.run(tensor(batch, self._how), wide=self._inside <= len(jobs))
        EMBED_BATCH_ITEMS.labels("image").observe(len(jobs))
        EMBED_SECONDS.labels("image").observe(time.perf_counter() - started)
        ends = np.cumsum([len(job) for job in jobs]).tolist()
        return [first_fault(made[end - len(job) : end]) for job, end in zip(jobs, ends, strict=True)]

"""The embedder: decode threads of this process in front of towers that run here or elsewhere."""

import asyncio
import time
from collections.abc import Sequence

from omma.errors import NoTextTower, OmmaError, OutOfTime, WrongState
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.telemetry.metrics import DECODE_SECONDS, EMBED_ITEMS, EMBED_TOWERS_AWAY
from omma.telemetry.traces import span
from omma.vectors import Float16
from services.egs.admission import Admission
from services.egs.client import EmbeddedItem, ImageItem, TextItem, Urgency
from services.egs.onnx_towers import load_image_tower, load_text_tower, load_windows_tower
from services.egs.preprocess import Pixels, Prepared, Uint8Rows, prepare
from services.egs.registry import Model
from services.egs.running import OpenedOnUse, RunningTower, ThreadedTower
from services.egs.settings import EgsSettings
from services.egs.text import TextSide, Words
from services.egs.tower import Tower
from services.egs.workers import Workers


class ModelEmbedder:
    """Embedder of one model version. What waits for a tower is kept as bytes, not floats.

    Belongs to one event loop. Holds at most queue_items regions and words, and queue_bytes; earliest deadline first.
    """

    def __init__(
        self,
        model: Model,
        settings: EgsSettings,
        image: RunningTower[Uint8Rows],
        text: tuple[RunningTower[str], Words] | None,
        *,
        windows: RunningTower[Uint8Rows] | None = None,
        limits: PictureLimits,
        buckets: int = 256,
    ) -> None:
        """text: the tower and what it eats. windows: the tower of both outputs, where it can be had. The towers become
        its own to close.
        """
        manifest = model.manifest
        self._model = model
        self._space = manifest.space(buckets)
        self._how = manifest.preprocessing
        self._limits = limits
        self._inside = Admission(settings.queue_items, settings.queue_bytes)
        self._image = image
        self._windows = windows
        self._fractions = () if windows is None or manifest.windows is None else manifest.windows.fractions
        self._text = (
            None if text is None else TextSide(*text, dim=manifest.dim, max_characters=settings.max_text_characters)
        )
        self._decoders = Workers("egs-decode", self._prepare_all, threads=settings.decode_threads)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def has_text_tower(self) -> bool:
        return self._text is not None

    @property
    def windows(self) -> int:
        return len(self._fractions)

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        """As services.egs.client.Embedder; cancelling it takes its items out of the queues."""
        left = deadline.require()
        try:
            with self._inside.holding(items), span("embed"):
                async with asyncio.timeout(left), asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._answer(item, deadline)) for item in items]
        except TimeoutError:
            raise OutOfTime("The deadline passed before the model had answered.") from None
        answers = [task.result() for task in tasks]
        for answer in answers:
            if isinstance(answer, OutOfTime):
                raise answer
        return answers

    async def trained_on(self) -> Float16 | None:
        """As services.egs.client.Embedder. Raises Corrupt."""
        return await asyncio.to_thread(self._model.trained_on)

    async def ready(self) -> bool:
        """As services.egs.client.Embedder: of both towers."""
        away = not await self._image.ready() or (self._text is not None and not await self._text.ready())
        EMBED_TOWERS_AWAY.set(away)
        return not away

    async def close(self) -> None:
        """What waits fails with ReplicaDown; returns when every thread has ended."""
        await asyncio.to_thread(self._decoders.close)
        await self._image.close()
        if self._windows is not None:
            await self._windows.close()
        if self._text is not None:
            await self._text.close()

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
        if item.windows and not self._fractions:
            raise WrongState(f"{self._space.model} has no windows here: ask for boxes.", field="windows")
        later = item.urgency is Urgency.BACKFILL
        prepared = await asyncio.wrap_future(self._decoders.submit(item, deadline, yields=later))
        if item.windows and self._windows is not None:
            vectors = (await self._windows.run(prepared.rows, deadline, item.urgency))[0]
        else:
            vectors = await self._image.run(prepared.rows, deadline, item.urgency)
        return EmbeddedItem(
            vectors=vectors,
            boxes=prepared.boxes,
            phash=prepared.phash,
            width=prepared.width,
            height=prepared.height,
            thumbnail=prepared.thumbnail,
            signature=prepared.signature,
            quality=prepared.quality,
        )

    def _prepare_all(self, items: Sequence[ImageItem]) -> list[Prepared | Exception]:
        return [self._prepare(item) for item in items]

    def _prepare(self, item: ImageItem) -> Prepared | Exception:
        started = time.perf_counter()
        try:
            return prepare(item, self._limits, self._how, self._fractions)
        except OmmaError as error:
            return error
        finally:
            DECODE_SECONDS.observe(time.perf_counter() - started)


class OnnxEmbedder(ModelEmbedder):
    """The same with ONNX Runtime in this process."""

    def __init__(
        self, model: Model, settings: EgsSettings, *, limits: PictureLimits = DEFAULT_LIMITS, buckets: int = 256
    ) -> None:
        """Raises Corrupt for a tower that does not do what its manifest says. Blocks: call it on a thread."""
        image = load_image_tower(model, settings.wide_threads)
        text = load_text_tower(model, settings.wide_threads)
        batch = settings.max_batch  # threads start only now that nothing can fail any more

        def threaded(tower: Tower, pixels: Pixels) -> ThreadedTower[Uint8Rows]:
            def is_alone(jobs: int) -> bool:
                return self._inside.items <= jobs

            return ThreadedTower(tower, pixels, threads=settings.model_threads, max_batch=batch, wide=is_alone)

        super().__init__(
            model,
            settings,
            threaded(*image),
            None
            if text is None
            else (ThreadedTower(*text, threads=1, max_batch=batch, wide=lambda jobs: jobs == 1), text[1]),
            windows=None
            if model.manifest.windows is None
            else OpenedOnUse(lambda: threaded(*load_windows_tower(model, settings.wide_threads))),
            limits=limits,
            buckets=buckets,
        )

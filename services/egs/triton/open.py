"""An embedder whose towers run on Triton; pictures are decoded and words are split here."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import Final, TypeVar

from omma.errors import Absent, InvalidPicture, WrongSpace
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.tls import RenewedCredentials
from services.egs.embedder import ModelEmbedder
from services.egs.manifest import Manifest
from services.egs.onnx_towers import grey_picture
from services.egs.preprocess import Pixels, Uint8Rows
from services.egs.registry import Model
from services.egs.running import Batch
from services.egs.settings import EgsSettings
from services.egs.text import Words
from services.egs.triton.gate import Gate
from services.egs.triton.naming import Kind
from services.egs.triton.settings import TritonSettings
from services.egs.triton.tower import TritonTower

Job = TypeVar("Job")

logger = logging.getLogger(__name__)

_KEEPALIVE_SECONDS: Final = 310
"""Triton allows a ping in five minutes; a Triton that is gone shows in a request's own time."""
_FIRST_SECONDS: Final = 120.0
"""For a tower's first run, in which an engine may be built."""
_WINDOWS_SECONDS: Final = 5.0
"""For what comes with the image tower, which is there, if Triton was given it at all."""


async def open_triton_embedder(
    model: Model,
    settings: EgsSettings,
    triton: TritonSettings,
    stack: AsyncExitStack,
    *,
    limits: PictureLimits = DEFAULT_LIMITS,
    buckets: int = 256,
) -> ModelEmbedder:
    """Waits until Triton serves the model, and sees that it is this entry's. What it opens is closed by the stack.

    A Triton whose repository was rendered before the model had windows serves all but those.

    Raises as TritonTower.check; Corrupt for towers or a tokenizer that are not their manifest's.
    """
    files = triton.tls.files()
    credentials = None if files is None else RenewedCredentials(files)
    channel = open_channel(triton.url, credentials=credentials, keepalive_seconds=_KEEPALIVE_SECONDS)
    stack.push_async_callback(channel.close)
    executor = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="egs-tensor")
    stack.callback(executor.shutdown, wait=False, cancel_futures=True)
    manifest = model.manifest

    def tower_of(kind: Kind, batch: Batch[Job]) -> TritonTower[Job]:
        return TritonTower(
            manifest,
            kind,
            batch,
            channel=channel,
            gate=Gate(triton.in_flight),
            executor=executor,
            timeout_seconds=triton.timeout_seconds,
        )

    pixels = Pixels(manifest.preprocessing)
    image = tower_of("image", pixels)
    await image.check(triton.connect_seconds)
    await _try(image, manifest)
    text: tuple[TritonTower[str], Words] | None = None
    if manifest.text is not None:
        words = await asyncio.to_thread(Words, model.path(manifest.text.tokenizer), manifest.text)
        tower = tower_of("text", words)
        await tower.check(triton.connect_seconds)
        await tower.run("a", Deadline.after(_FIRST_SECONDS))
        text = tower, words
    windows = None if manifest.windows is None else await _windows(tower_of("windows", pixels), manifest)
    embedder = ModelEmbedder(model, settings, image, text, windows=windows, limits=limits, buckets=buckets)
    stack.push_async_callback(embedder.close)
    return embedder


async def _windows(tower: TritonTower[Uint8Rows], manifest: Manifest) -> TritonTower[Uint8Rows] | None:
    """None, with a word to the log, where Triton has them not, or another entry's: all else goes on without."""
    try:
        await tower.check(_WINDOWS_SECONDS)
    except (Absent, WrongSpace) as error:
        logger.warning("no windows on Triton", extra={"model": manifest.reference, "reason": error.detail})
        return None
    await _try(tower, manifest)
    return tower


async def _try(tower: TritonTower[Uint8Rows], manifest: Manifest) -> None:
    """The first run is the slow one, and shows a wrong shape."""
    with suppress(InvalidPicture):  # grey may have no length
        await tower.run(grey_picture(manifest), Deadline.after(_FIRST_SECONDS))

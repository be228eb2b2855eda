"""An embedder whose towers run on Triton; pictures are decoded and words are split here."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import Final

from omma.errors import InvalidPicture
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.tls import RenewedCredentials
from services.egs.embedder import ModelEmbedder
from services.egs.onnx_towers import grey_picture
from services.egs.preprocess import Pixels, Uint8Rows
from services.egs.registry import Model
from services.egs.settings import EgsSettings
from services.egs.text import Words
from services.egs.triton.gate import Gate
from services.egs.triton.settings import TritonSettings
from services.egs.triton.tower import TritonTower

_KEEPALIVE_SECONDS: Final = 310
"""Triton allows a ping in five minutes; a Triton that is gone shows in a request's own time."""
_FIRST_SECONDS: Final = 120.0
"""For a tower's first run, in which an engine may be built."""


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

    Raises as TritonTower.check; Corrupt for towers or a tokenizer that are not their manifest's.
    """
    files = triton.tls.files()
    credentials = None if files is None else RenewedCredentials(files)
    channel = open_channel(triton.url, credentials=credentials, keepalive_seconds=_KEEPALIVE_SECONDS)
    stack.push_async_callback(channel.close)
    executor = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="egs-tensor")
    stack.callback(executor.shutdown, wait=False, cancel_futures=True)
    manifest = model.manifest

    image: TritonTower[Uint8Rows] = TritonTower(
        manifest,
        "image",
        Pixels(manifest.preprocessing),
        channel=channel,
        gate=Gate(triton.in_flight),
        executor=executor,
        timeout_seconds=triton.timeout_seconds,
    )
    await image.check(triton.connect_seconds)
    with suppress(InvalidPicture):  # grey may have no length
        await image.run(
            grey_picture(manifest), Deadline.after(_FIRST_SECONDS)
        )  # the first run is the slow one, and shows a wrong shape
    text: tuple[TritonTower[str], Words] | None = None
    if manifest.text is not None:
        words = await asyncio.to_thread(Words, model.path(manifest.text.tokenizer), manifest.text)
        tower = TritonTower(
            manifest,
            "text",
            words,
            channel=channel,
            gate=Gate(triton.in_flight),
            executor=executor,
            timeout_seconds=triton.timeout_seconds,
        )
        await tower.check(triton.connect_seconds)
        await tower.run("a", Deadline.after(_FIRST_SECONDS))
        text = tower, words
    embedder = ModelEmbedder(model, settings, image, text, limits=limits, buckets=buckets)
    stack.push_async_callback(embedder.close)
    return embedder

"""EGS as a process: `python -m services.egs`."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from pydantic import Field

from omma.images import PictureLimits
from omma.process import ProcessSettings, begin, until_stopped
from omma.rpc.channel import MAX_MESSAGE_BYTES
from omma.rpc.server import RpcServer
from omma.v1 import embedding_pb2_grpc
from services.egs.client.remote import MAX_CALL_BYTES
from services.egs.embedder import ModelEmbedder, OnnxEmbedder
from services.egs.registry import Model, load_model
from services.egs.servicer import EmbeddingServicer
from services.egs.settings import EgsSettings
from services.egs.triton.settings import TritonSettings

logger = logging.getLogger(__name__)


class EgsProcess(ProcessSettings):
    """OMMA_MODEL, `name@version` or `name`; OMMA_BIND, OMMA_GRPC_PORT and the others of a process; OMMA_EGS__…; with
    OMMA_TRITON__URL the towers run on Triton.
    """

    service: ClassVar[str] = "omma-egs"
    model: str = Field(default="omma-mini", min_length=1)
    pictures: PictureLimits = PictureLimits()
    egs: EgsSettings = Field(default_factory=EgsSettings)
    triton: TritonSettings = TritonSettings()


async def main() -> None:
    """Serve until SIGTERM or SIGINT. Raises Absent, field `model`; Corrupt when a file of the model is damaged.

    With Triton it waits until that serves the model, alive and not ready; raises WrongSpace for another entry's towers.
    """
    settings = EgsProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        server = RpcServer(
            None,
            credentials=settings.server_credentials(),
            probe_address=settings.probe_address,
            # A picture that the limit allows fits into a message, with what else the client puts into one.
            max_message_bytes=max(MAX_MESSAGE_BYTES, settings.pictures.max_bytes + MAX_CALL_BYTES),
        )
        port = await server.start(settings.grpc_address)
        model = await asyncio.to_thread(load_model, settings.egs.models_dir, settings.model)
        embedder = await _embedder(model, settings, stack)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        servicer = EmbeddingServicer(lambda: embedder)
        await server.register([partial(embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, servicer)])
        await server.set_ready(True)
        logger.info("the embedder serves", extra={"address": settings.bind, "port": port, "space": embedder.space.id})
        await until_stopped()


async def _embedder(model: Model, settings: EgsProcess, stack: AsyncExitStack) -> ModelEmbedder:
    if settings.triton.url:
        from services.egs.triton.open import open_triton_embedder  # its client comes with the extra `cluster`

        return await open_triton_embedder(model, settings.egs, settings.triton, stack, limits=settings.pictures)
    embedder = await asyncio.to_thread(OnnxEmbedder, model, settings.egs, limits=settings.pictures)
    stack.push_async_callback(embedder.close)
    return embedder

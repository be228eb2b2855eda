"""The composition root of EGS as a service of its own: `python -m services.egs`."""

import asyncio
import signal
from functools import partial

from pydantic import Field

from omma.rpc.server import RpcServer
from omma.settings import Settings, warn_unknown_names
from omma.telemetry.logs import configure_logging
from omma.v1 import embedding_pb2_grpc
from services.egs.embedder import OnnxEmbedder
from services.egs.registry import load_model
from services.egs.servicer import EmbeddingServicer
from services.egs.settings import EgsSettings


class EgsProcess(Settings):
    """OMMA_MODEL, `name@version` or `name`, and OMMA_EGS__…"""

    model: str = Field(default="omma-mini", min_length=1)
    egs: EgsSettings = Field(default_factory=EgsSettings)


def open_embedder(model: str, settings: EgsSettings) -> OnnxEmbedder:
    """The registry's model, verified and loaded. Blocks. Raises Absent, field `model`; Corrupt."""
    return OnnxEmbedder(load_model(settings.models_dir, model), settings)


async def serve(process: EgsProcess, stop: asyncio.Event) -> None:
    """Serve gRPC until stop is set, then drain. Raises as open_embedder; OSError for a port that is taken."""
    embedder = await asyncio.to_thread(open_embedder, process.model, process.egs)
    servicer = EmbeddingServicer(embedder)
    server = RpcServer([partial(embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, servicer)])
    try:
        await server.start(f"{process.egs.host}:{process.egs.port}")
        await server.set_ready(True)
        await stop.wait()
        await server.stop(process.egs.drain_seconds)
    finally:
        await embedder.close()


async def run() -> None:
    """Until SIGTERM or SIGINT."""
    configure_logging("info")
    warn_unknown_names(EgsProcess.known_names())
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await serve(EgsProcess(), stop)

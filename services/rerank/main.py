"""The re-ranker as a process: `python -m services.rerank`."""

import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from omma.process import ProcessSettings, begin, until_stopped
from omma.rpc.server import RpcServer
from omma.v1 import rerank_pb2_grpc
from services.rerank.local import LocalReranker
from services.rerank.servicer import RerankServicer
from services.rerank.settings import RerankSettings

logger = logging.getLogger(__name__)


class RerankProcess(ProcessSettings):
    """OMMA_BIND, OMMA_GRPC_PORT and the others of a process, and OMMA_RERANK__…"""

    service: ClassVar[str] = "omma-rerank"
    rerank: RerankSettings = RerankSettings()


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = RerankProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        reranker = LocalReranker.configured(settings.rerank)
        stack.push_async_callback(reranker.close)
        server = RpcServer(
            [partial(rerank_pb2_grpc.add_RerankServiceServicer_to_server, RerankServicer(reranker))],
            credentials=settings.server_credentials(),
            probe_address=settings.probe_address,
        )
        port = await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        await server.set_ready(True)
        logger.info("the re-ranker serves", extra={"address": settings.bind, "port": port})
        await until_stopped()

"""The composition root of the worker as a process: `python -m services.worker`.

The shards are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import logging
import os
import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from pydantic import Field

from omma.background import running
from omma.fetching import FetchSettings
from omma.images import PictureLimits
from omma.outbox import open_outbox
from omma.persistence import until_there
from omma.process import begin, until_stopped
from omma.rpc.server import RpcServer
from omma.storage import StorageSettings, open_storage
from services.nn_shard.client import RemoteShard
from services.topology.indexes import PlacedIndex
from services.topology.registration import live_in
from services.worker.composition import compose
from services.worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class ServedWorkerSettings(WorkerSettings):
    """shards: JSON, the replicas of shard 0, of shard 1, …: `[["a:9091"], ["b:9091"]]`; a comparison asks them all."""

    shards: tuple[tuple[str, ...], ...] = Field(min_length=1)


class WorkerProcess(StorageSettings):
    """What reaches the storage and what every process has, and OMMA_WORKER__…"""

    service: ClassVar[str] = "omma-worker"
    worker: ServedWorkerSettings
    pictures: PictureLimits = PictureLimits()
    fetch: FetchSettings = FetchSettings()


async def main() -> None:
    """Work until SIGTERM or SIGINT; jobs under way are handed back. Storage and the first index are
    waited for.

    OMMA_GRPC_PORT answers health checks.
    """
    settings = WorkerProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        server = RpcServer([], credentials=settings.server_credentials(), probe_address=settings.probe_address)
        await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        storage = await open_storage(settings, stack)
        index, space = await until_there("the live index", partial(live_in, storage.catalog))
        credentials = settings.channel_credentials()
        shards = []
        for addresses in settings.worker.shards:
            replicas = tuple(RemoteShard.at(address, credentials=credentials) for address in addresses)
            for replica in replicas:
                stack.push_async_callback(replica.close)
            shards.append(replicas)
        placed = PlacedIndex(index, space, tuple(shards))
        worker = compose(
            settings.worker,
            storage,
            await until_there("Kafka", partial(open_outbox, storage.catalog, storage.log)),
            lambda: placed,
            lambda index_id: placed if index_id == index.id else None,
            limits=settings.pictures,
            fetch=settings.fetch,
            live_space=lambda: space.id,
            holder=f"{socket.gethostname()}:{os.getpid()}",
            s3=settings.s3,
        )
        await stack.enter_async_context(running(*worker.work))
        await server.set_ready(True)
        logger.info("the worker works", extra={"index": index.id})
        await until_stopped()

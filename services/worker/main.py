"""The composition root of the worker as a process: `python -m services.worker`.

The shards are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import logging
import os
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from omma.background import running
from omma.catalog.interface import Catalog
from omma.fetching import FetchSettings
from omma.images import PictureLimits
from omma.outbox import open_outbox
from omma.persistence import until_there
from omma.process import begin, until_stopped
from omma.rpc.server import RpcServer
from omma.storage import StorageSettings, open_storage
from services.nn_shard.client import RemoteShard
from services.topology.connections import Connections
from services.topology.file import TopologyFile, open_topology
from services.topology.indexes import PlacedIndex
from services.topology.places import Places, shards_only
from services.topology.registration import live_in
from services.worker.composition import compose
from services.worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class ServedWorkerSettings(WorkerSettings):
    """shards: JSON, the replicas of shard 0, of shard 1, …: `[["a:9091"], ["b:9091"]]`; a comparison asks them all.
    Only without OMMA_TOPOLOGY.
    """

    shards: tuple[tuple[str, ...], ...] = ()


class WorkerProcess(StorageSettings):
    """What reaches the storage and what every process has, and OMMA_WORKER__…"""

    service: ClassVar[str] = "omma-worker"
    topology: Path | None = Field(default=None, description="a YAML file of all indexes, followed while it runs")
    worker: ServedWorkerSettings = ServedWorkerSettings()
    pictures: PictureLimits = PictureLimits()
    fetch: FetchSettings = FetchSettings()


async def main() -> None:
    """Work until SIGTERM or SIGINT; jobs under way are handed back. Storage and the first index are
    waited for.

    OMMA_GRPC_PORT answers health checks.
    """
    settings = WorkerProcess()
    begin(settings)
    topology = open_topology(settings.topology, {"OMMA_WORKER__SHARDS": settings.worker.shards})
    async with AsyncExitStack() as stack:
        server = RpcServer([], credentials=settings.server_credentials(), probe_address=settings.probe_address)
        await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        storage = await open_storage(settings, stack)
        places = (
            await _fixed(settings, storage.catalog, stack)
            if topology is None
            else await _followed(topology, settings, storage.catalog, stack)
        )
        worker = compose(
            settings.worker,
            storage,
            await until_there("Kafka", partial(open_outbox, storage.catalog, storage.log)),
            places.live,
            places.find,
            limits=settings.pictures,
            fetch=settings.fetch,
            live_space=places.live_space,
            holder=f"{socket.gethostname()}:{os.getpid()}",
            s3=settings.s3,
        )
        await stack.enter_async_context(running(*worker.work))
        await server.set_ready(True)
        logger.info("the worker works")
        await until_stopped()


@dataclass(frozen=True, slots=True)
class _OnePlace:
    """Of the index that settings name."""

    placed: PlacedIndex

    def live(self) -> PlacedIndex:
        return self.placed

    def find(self, index_id: str) -> PlacedIndex | None:
        return self.placed if index_id == self.placed.index.id else None

    def live_space(self) -> str:
        return self.placed.space.id


async def _fixed(process: WorkerProcess, catalog: Catalog, stack: AsyncExitStack) -> _OnePlace:
    index, space = await until_there("the live index", partial(live_in, catalog))
    credentials = process.channel_credentials()
    shards = []
    for addresses in process.worker.shards:
        replicas = tuple(RemoteShard.at(address, credentials=credentials) for address in addresses)
        for replica in replicas:
            stack.push_async_callback(replica.close)
        shards.append(replicas)
    return _OnePlace(PlacedIndex(index, space, tuple(shards)))


async def _followed(
    topology: TopologyFile, process: WorkerProcess, catalog: Catalog, stack: AsyncExitStack
) -> Places[PlacedIndex]:
    connections = Connections(process.channel_credentials())
    stack.push_async_callback(connections.close)
    places = Places(topology, catalog, connections, shards_only)
    await until_there("PostgreSQL", places.look)
    await stack.enter_async_context(running(places.run))
    return places

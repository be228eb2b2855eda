"""The composition root of the indexer as a process: `python -m services.indexer`.

The embedder and the shards are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from omma.background import running
from omma.errors import ReplicaDown
from omma.images import PictureLimits
from omma.outbox import ensure_images_topic
from omma.persistence import until_there
from omma.process import begin, until_stopped
from omma.rpc.channel import open_channel
from omma.rpc.server import RpcServer
from omma.storage import Storage, StorageSettings, open_storage
from services.egs.client import RemoteEmbedder
from services.indexer.settings import IndexerSettings, RolloutSettings
from services.indexer.spaces import Fed, Indexers
from services.indexer.worker import Indexer
from services.nn_shard.client import RemoteShard
from services.topology.connections import Connections
from services.topology.file import TopologyFile, open_topology
from services.topology.indexes import ServedIndex
from services.topology.places import Found, Places, with_embedder
from services.topology.stored import StoredShard

logger = logging.getLogger(__name__)


class ServedIndexerSettings(IndexerSettings):
    """egs: `host:port`. shards: JSON, one replica of shard 0, of shard 1, …: `["a:9091", "b:9091"]`; none: nothing is
    copied from a shard, and attributes that change embed again once they are no longer in memory. Both only without
    OMMA_TOPOLOGY.
    """

    egs: str = ""
    shards: tuple[str, ...] = ()


class IndexerProcess(StorageSettings):
    """What reaches the storage and what every process has, and OMMA_INDEXER__…"""

    service: ClassVar[str] = "omma-indexer"
    topology: Path | None = Field(default=None, description="a YAML file of all indexes, followed while it runs")
    indexer: ServedIndexerSettings = ServedIndexerSettings()
    rollouts: RolloutSettings = RolloutSettings()
    pictures: PictureLimits = PictureLimits()


async def main() -> None:
    """Index until SIGTERM or SIGINT; what was not committed is taken again by the next. Storage and EGS are
    waited for.

    The space is the embedder's, and is registered if it is new; with a topology, each space that the catalog has an
    index of. OMMA_GRPC_PORT answers health checks: ready while it indexes, not while it pauses as too many pictures
    die.
    """
    settings = IndexerProcess()
    begin(settings)
    topology = open_topology(settings.topology, {"OMMA_INDEXER__EGS": settings.indexer.egs})
    async with AsyncExitStack() as stack:
        server = RpcServer([], credentials=settings.server_credentials(), probe_address=settings.probe_address)
        await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        storage = await open_storage(settings, stack)
        work = await (
            _of_one_space(settings, storage, server, stack)
            if topology is None
            else _of_every_space(topology, settings, storage, server, stack)
        )
        await stack.enter_async_context(running(work))
        await server.set_ready(True)
        logger.info("the indexer runs")
        await until_stopped()


async def _of_one_space(
    settings: IndexerProcess, storage: Storage, server: RpcServer, stack: AsyncExitStack
) -> Callable[[], Awaitable[None]]:
    credentials = settings.channel_credentials()
    channel = open_channel(settings.indexer.egs, credentials=credentials, health_checked=True)
    stack.push_async_callback(channel.close)
    embedder = await RemoteEmbedder.found(channel)
    shards = [RemoteShard.at(address, credentials=credentials) for address in settings.indexer.shards]
    for shard in shards:
        stack.push_async_callback(shard.close)
    await until_there("PostgreSQL", partial(storage.catalog.register_space, embedder.space))
    await _ensure_topic(settings, storage)
    return Indexer(
        catalog=storage.catalog,
        log=storage.log,
        blobs=storage.blobs,
        originals=storage.originals,
        embedder=embedder,
        shards=shards,
        settings=settings.indexer,
        limits=settings.pictures,
        on_held=lambda held: server.set_ready(not held),
    ).run


async def _of_every_space(
    topology: TopologyFile, settings: IndexerProcess, storage: Storage, server: RpcServer, stack: AsyncExitStack
) -> Callable[[], Awaitable[None]]:
    connections = Connections(settings.channel_credentials())
    stack.push_async_callback(connections.close)
    await _ensure_topic(settings, storage)
    places = Places(topology, storage.catalog, connections, with_embedder)
    indexers = Indexers(
        storage,
        settings.indexer,
        settings.pictures,
        backfill_share=settings.rollouts.backfill_share,
        on_held=lambda held: server.set_ready(not held),
    )
    stack.push_async_callback(indexers.close)

    async def tend(found: Found[ServedIndex]) -> None:
        indexers.raise_faults()
        await indexers.tend(
            _fed(one, places) for one in found.placed.values() if not found.routing.paused(one.index.id)
        )

    await tend(await until_there("PostgreSQL", places.look))
    return partial(places.run, tend)


def _fed(served: ServedIndex, places: Places[ServedIndex]) -> Fed:
    """Its shards are asked where they are by then."""
    index = served.index

    def now() -> ServedIndex:
        found = places.find(index.id)
        if found is None:
            raise ReplicaDown(f"Index {index.id} has no place.")
        return found

    return Fed(index, served.embedder, lambda: [StoredShard(now, shard) for shard in range(index.shards)])


async def _ensure_topic(settings: IndexerProcess, storage: Storage) -> None:
    topic = partial(ensure_images_topic, storage.log, settings.indexer.images_partitions)
    await until_there("Kafka", topic)

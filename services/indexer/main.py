"""The composition root of the indexer as a process: `python -m services.indexer`.

The embedder and the shards are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from pydantic import Field

from omma.background import running
from omma.images import PictureLimits
from omma.outbox import ensure_images_topic
from omma.persistence import until_there
from omma.process import begin, until_stopped
from omma.rpc.channel import open_channel
from omma.rpc.server import RpcServer
from omma.storage import StorageSettings, open_storage
from services.egs.client import RemoteEmbedder
from services.indexer.settings import IndexerSettings
from services.indexer.worker import Indexer
from services.nn_shard.client import RemoteShard

logger = logging.getLogger(__name__)


class ServedIndexerSettings(IndexerSettings):
    """egs: `host:port`. shards: JSON, one replica of shard 0, of shard 1, …: `["a:9091", "b:9091"]`; none: nothing is
    copied from a shard, and attributes that change embed again once they are no longer in memory.
    """

    egs: str = Field(min_length=1)
    shards: tuple[str, ...] = ()


class IndexerProcess(StorageSettings):
    """What reaches the storage and what every process has, and OMMA_INDEXER__…"""

    service: ClassVar[str] = "omma-indexer"
    indexer: ServedIndexerSettings
    pictures: PictureLimits = PictureLimits()


async def main() -> None:
    """Index until SIGTERM or SIGINT; what was not committed is taken again by the next. Storage and EGS are
    waited for.

    The space is the embedder's, and is registered if it is new.
    OMMA_GRPC_PORT answers health checks: ready while it indexes, not while it pauses as too many pictures die.
    """
    settings = IndexerProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        server = RpcServer([], credentials=settings.server_credentials(), probe_address=settings.probe_address)
        await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        storage = await open_storage(settings, stack)
        credentials = settings.channel_credentials()
        channel = open_channel(settings.indexer.egs, credentials=credentials, health_checked=True)
        stack.push_async_callback(channel.close)
        embedder = await RemoteEmbedder.found(channel)
        shards = [RemoteShard.at(address, credentials=credentials) for address in settings.indexer.shards]
        for shard in shards:
            stack.push_async_callback(shard.close)
        await until_there("PostgreSQL", partial(storage.catalog.register_space, embedder.space))
        topic = partial(ensure_images_topic, storage.log, settings.indexer.images_partitions)
        await until_there("Kafka", topic)
        indexer = Indexer(
            catalog=storage.catalog,
            log=storage.log,
            blobs=storage.blobs,
            originals=storage.originals,
            embedder=embedder,
            shards=shards,
            settings=settings.indexer,
            limits=settings.pictures,
            on_held=lambda held: server.set_ready(not held),
        )
        await stack.enter_async_context(running(indexer.run))
        await server.set_ready(True)
        logger.info("the indexer runs", extra={"space": embedder.space.id})
        await until_stopped()

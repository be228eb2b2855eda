"""The composition root of the indexer as a process: `python -m services.indexer`.

The embedder and the shards are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import logging
from contextlib import AsyncExitStack

from pydantic import Field

from omma.background import running
from omma.images import PictureLimits
from omma.outbox import ensure_images_topic
from omma.process import begin, until_stopped
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.storage import StorageSettings, open_storage
from services.egs.client import RemoteEmbedder
from services.indexer.settings import IndexerSettings
from services.indexer.worker import Indexer
from services.nn_shard.client import RemoteShard

_CONNECT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class ServedIndexerSettings(IndexerSettings):
    """egs: `host:port`. shards: JSON, one replica of shard 0, of shard 1, …: `["a:9091", "b:9091"]`; none: nothing is
    copied from a shard, and attributes that change embed again once they are no longer in memory.
    """

    egs: str = Field(min_length=1)
    shards: tuple[str, ...] = ()


class IndexerProcess(StorageSettings):
    """What reaches the storage and what every process has, and OMMA_INDEXER__…"""

    indexer: ServedIndexerSettings
    pictures: PictureLimits = PictureLimits()


async def main() -> None:
    """Index until SIGTERM or SIGINT; what was not committed is taken again by the next. Raises ReplicaDown without EGS.

    The space is the embedder's, and is registered if it is new.
    OMMA_GRPC_PORT answers health checks: ready while it indexes, not while it pauses as too many pictures die.
    """
    settings = IndexerProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        server = RpcServer([], credentials=settings.server_credentials())
        await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, 0.0)
        storage = await open_storage(settings, stack)
        channel = open_channel(settings.indexer.egs)
        embedder = await RemoteEmbedder.connect(channel, Deadline.after(_CONNECT_SECONDS))
        stack.push_async_callback(embedder.close)
        shards = [RemoteShard.at(address) for address in settings.indexer.shards]
        for shard in shards:
            stack.push_async_callback(shard.close)
        await storage.catalog.register_space(embedder.space)
        await ensure_images_topic(storage.log, settings.indexer.images_partitions)
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

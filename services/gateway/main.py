"""The composition root of the gateway as a process: `python -m services.gateway`.

The embedder, the shards and the re-ranker are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import logging
from contextlib import AsyncExitStack

from pydantic import Field

from omma.background import running
from omma.catalog.interface import Catalog
from omma.errors import WrongState
from omma.outbox import open_outbox
from omma.process import begin, until_stopped
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.storage import StorageSettings, open_storage
from services.egs.client import RemoteEmbedder
from services.gateway.auth import Authenticator, is_loopback
from services.gateway.composition import GatewayParts, compose
from services.gateway.http import answering, listening
from services.gateway.jobs import Sources
from services.gateway.settings import GatewaySettings
from services.nn_shard.client import RemoteShard
from services.rerank.client import RemoteReranker
from services.topology.indexes import ServedIndex, ServedIndexes
from services.topology.registration import live_index

_CONNECT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class ServedGatewaySettings(GatewaySettings):
    """egs, rerank: `host:port`. shards: JSON, the replicas of shard 0, of shard 1, …: `[["a:9091"], ["b:9091"]]`.

    ingest_folders: the worker has the folders that callers name, and may read them.
    """

    egs: str = Field(min_length=1)
    rerank: str = Field(min_length=1)
    shards: tuple[tuple[str, ...], ...] = Field(min_length=1)
    ingest_folders: bool = False


class GatewayProcess(StorageSettings):
    """What reaches the storage, OMMA_HTTP_PORT, OMMA_GRPC_PORT and the others of a process, and OMMA_GATEWAY__…"""

    http_port: int = Field(default=8080, ge=0, le=65_535)
    gateway: ServedGatewaySettings


async def main() -> None:
    """Serve until SIGTERM or SIGINT. Makes the first index of a new catalog, with the embedder's space.

    Raises ReplicaDown without EGS; WrongState when the live index has another space or number of shards.
    """
    settings = GatewayProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        storage = await open_storage(settings, stack)
        served = await _served(settings.gateway, storage.catalog, stack)
        reranker = RemoteReranker.at(settings.gateway.rerank)
        stack.push_async_callback(reranker.close)
        loopback = is_loopback(settings.bind)
        parts = GatewayParts(
            storage=storage,
            outbox=await open_outbox(storage.catalog, storage.log),
            indexes=ServedIndexes([served]),
            space=served.space.id,
            reranker=reranker,
            authenticator=Authenticator(
                storage.catalog,
                open_without_keys=loopback,
                max_age_seconds=settings.gateway.keys_max_age_seconds,
                outage_seconds=settings.gateway.keys_outage_seconds,
            ),
            sources=Sources(
                folders=settings.gateway.ingest_folders, s3=settings.s3, buckets=settings.gateway.ingest_buckets
            ),
            metrics_open=loopback,
        )
        gateway = await compose(settings.gateway, parts, stack)
        await stack.enter_async_context(running(gateway.impressions.run))
        rest = answering(gateway.rest, listening(settings.bind, settings.http_port), settings.drain_seconds)
        await stack.enter_async_context(rest)
        rpc = RpcServer([gateway.rpc], credentials=settings.server_credentials())
        await rpc.start(settings.grpc_address)
        stack.push_async_callback(rpc.stop, settings.drain_seconds)
        await rpc.set_ready(True)
        logger.info("the gateway serves", extra={"address": settings.bind, "port": settings.http_port})
        await until_stopped()
        gateway.health.draining = True


async def _served(settings: ServedGatewaySettings, catalog: Catalog, stack: AsyncExitStack) -> ServedIndex:
    embedder = await RemoteEmbedder.connect(open_channel(settings.egs), Deadline.after(_CONNECT_SECONDS))
    stack.push_async_callback(embedder.close)
    shards = []
    for addresses in settings.shards:
        replicas = tuple(RemoteShard.at(address) for address in addresses)
        for replica in replicas:
            stack.push_async_callback(replica.close)
        shards.append(replicas)
    index = await live_index(catalog, embedder.space, len(shards))
    if len(shards) != index.shards:
        raise WrongState(
            f"Index {index.id} has {index.shards} shards and {len(shards)} are named.", field="OMMA_GATEWAY__SHARDS"
        )
    return ServedIndex(index, embedder.space, tuple(shards), embedder)

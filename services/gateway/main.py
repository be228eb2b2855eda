"""The composition root of the gateway as a process: `python -m services.gateway`.

The embedder, the shards and the re-ranker are asked over gRPC; catalog, log and blobs are those of `omma.storage`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, ClassVar

import uvicorn
from fastapi import FastAPI
from pydantic import Field

from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.catalog.interface import Catalog
from omma.dead_letters import DeadLetters
from omma.errors import WrongState
from omma.outbox import open_outbox
from omma.persistence import until_there
from omma.process import begin, until_stopped
from omma.records import IMAGES_TOPIC
from omma.rpc.channel import open_channel
from omma.rpc.server import RpcServer
from omma.storage import Storage, StorageSettings, open_storage
from omma.v1 import search_pb2_grpc
from services.egs.client import RemoteEmbedder
from services.gateway.auth import Authenticator, is_loopback
from services.gateway.grpc.servicer import SearchServicer
from services.gateway.health import Health
from services.gateway.pictures.core import PictureCore
from services.gateway.pictures.ingests import Ingests, Sources
from services.gateway.rest.app import create_app
from services.gateway.rest.opening import Opening
from services.gateway.rest.operation import Operation
from services.gateway.search.admission import Admission
from services.gateway.search.core import SearchCore
from services.gateway.search.fanout import Fanout
from services.gateway.search.interactions import open_impressions
from services.gateway.search.urls import PictureFetcher
from services.gateway.settings import GatewaySettings
from services.nn_shard.client import RemoteShard
from services.rerank.client import RemoteReranker
from services.topology.indexes import ServedIndex, ServedIndexes
from services.topology.registration import live_index
from services.worker.recording import record_interactions
from services.worker.truth import Truth

logger = logging.getLogger(__name__)


class ServedGatewaySettings(GatewaySettings):
    """egs, rerank: `host:port`. shards: JSON, the replicas of shard 0, of shard 1, …: `[["a:9091"], ["b:9091"]]`.

    ingest_folders: the indexer has the folders that callers name, and may read them.
    """

    egs: str = Field(min_length=1)
    rerank: str = Field(min_length=1)
    shards: tuple[tuple[str, ...], ...] = Field(min_length=1)
    ingest_folders: bool = False


class GatewayProcess(StorageSettings):
    """What reaches the storage, OMMA_HTTP_PORT, OMMA_GRPC_PORT and the others of a process, and OMMA_GATEWAY__…"""

    service: ClassVar[str] = "omma-gateway"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    gateway: ServedGatewaySettings


async def main() -> None:
    """Serve until SIGTERM or SIGINT. Makes the first index of a new catalog, with the embedder's space.

    Storage and EGS are waited for. Raises WrongState when the live index has another space or number of shards.
    """
    settings = GatewayProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        rpc = RpcServer(None, credentials=settings.server_credentials())
        await rpc.start(settings.grpc_address)
        stack.push_async_callback(rpc.stop, 0.0)
        opening = Opening()
        rest = await stack.enter_async_context(_listening(opening, settings))
        storage = await open_storage(settings, stack)
        indexes = ServedIndexes([await _served(settings, storage.catalog, stack)])
        health = Health(indexes)
        opening.app, servicer, work = await _compose(settings, storage, indexes, health, stack)
        await rpc.register([partial(search_pb2_grpc.add_SearchServiceServicer_to_server, servicer)])
        await rpc.set_ready(True)
        await _serve(rest, rpc, health, settings, work)


async def _served(process: GatewayProcess, catalog: Catalog, stack: AsyncExitStack) -> ServedIndex:
    settings, credentials = process.gateway, process.channel_credentials()
    channel = open_channel(settings.egs, credentials=credentials)
    stack.push_async_callback(channel.close)
    embedder = await RemoteEmbedder.found(channel)
    shards = []
    for addresses in settings.shards:
        replicas = tuple(RemoteShard.at(address, credentials=credentials) for address in addresses)
        for replica in replicas:
            stack.push_async_callback(replica.close)
        shards.append(replicas)
    index = await until_there("PostgreSQL", partial(live_index, catalog, embedder.space, len(shards)))
    if len(shards) != index.shards:
        raise WrongState(
            f"Index {index.id} has {index.shards} shards and {len(shards)} are named.", field="OMMA_GATEWAY__SHARDS"
        )
    return ServedIndex(index, embedder.space, embedder, tuple(shards))


async def _compose(
    process: GatewayProcess, storage: Storage, indexes: ServedIndexes, health: Health, stack: AsyncExitStack
) -> tuple[FastAPI, SearchServicer, list[Coroutine[Any, Any, None]]]:
    """REST, what gRPC serves, and the work that runs beside them."""
    settings, catalog, log = process.gateway, storage.catalog, storage.log
    urls = PictureFetcher(max_bytes=settings.max_picture_bytes, timeout_seconds=settings.url_timeout_seconds)
    stack.push_async_callback(urls.close)
    reranker = RemoteReranker.at(settings.rerank, credentials=process.channel_credentials())
    stack.push_async_callback(reranker.close)
    impressions = await until_there(
        "Kafka",
        partial(open_impressions, log, max_queued=settings.impressions_queued, sampled=settings.impressions_sampled),
    )
    search = SearchCore(
        indexes,
        reranker,
        storage.originals,
        urls,
        impressions,
        fanout=Fanout(settings.fanout),
        admission=Admission(
            settings.max_concurrent_searches, settings.max_waiting_searches, settings.max_search_wait_seconds
        ),
        max_text_characters=settings.max_text_characters,
        max_picture_bytes=settings.max_picture_bytes,
    )
    executor = ThreadPoolExecutor(settings.picture_threads, thread_name_prefix="pictures")
    stack.callback(executor.shutdown, wait=False)
    outbox = await until_there("Kafka", partial(open_outbox, catalog, log))
    pictures = PictureCore(
        catalog,
        storage.blobs,
        storage.originals,
        outbox,
        executor,
        picture_limits=settings.picture_limits,
        row_limits=settings.row_limits,
        max_concurrent_uploads=settings.max_concurrent_uploads,
    )
    loopback = is_loopback(process.bind)
    authenticator = Authenticator(catalog, open_without_keys=loopback, max_age_seconds=settings.keys_max_age_seconds)
    servicer = SearchServicer(search, pictures, authenticator)
    group = indexer_group(indexes.live().space.id)
    dead_letters = DeadLetters(catalog, log, outbox, partial(wait_until_handled, log, IMAGES_TOPIC, group))
    waiting = partial(backlog, log, IMAGES_TOPIC, group)
    sources = Sources(folders=settings.ingest_folders, s3=process.s3, buckets=settings.ingest_buckets)
    operation = Operation(
        catalog,
        dead_letters,
        Ingests(catalog, sources, waiting, settings.ingests_unfinished),
        Truth.on(storage, outbox, dead_letters, indexes, max_picture_bytes=settings.max_picture_bytes),
    )
    app = create_app(search, pictures, impressions, operation, authenticator, health, settings, metrics_open=loopback)
    work = [
        impressions.run(),
        record_interactions(log, catalog, kept_days=settings.interactions_kept_days),
        pictures.relay(settings.resend_seconds),
    ]
    return app, servicer, work


@asynccontextmanager
async def _listening(app: Opening, settings: GatewayProcess) -> AsyncIterator["_HttpServer"]:
    rest = _HttpServer(
        uvicorn.Config(
            app,
            host=settings.bind,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=round(settings.drain_seconds),
        )
    )
    rest.serving = asyncio.create_task(rest.serve(), name="REST")
    try:
        yield rest
    finally:
        await rest.end()


async def _serve(
    rest: "_HttpServer",
    rpc: RpcServer,
    health: Health,
    settings: GatewayProcess,
    work: list[Coroutine[Any, Any, None]],
) -> None:
    async with asyncio.TaskGroup() as group:
        beside = [group.create_task(one) for one in work]
        logger.info("the gateway serves", extra={"address": settings.bind, "port": settings.http_port})
        await until_stopped()
        health.draining = True
        await rpc.stop(settings.drain_seconds)
        await rest.end()
        for task in beside:
            task.cancel()


class _HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when it stops."""

    serving: asyncio.Task[None]

    async def end(self) -> None:
        """Answer what is under way. May be repeated."""
        self.should_exit = True
        await self.serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

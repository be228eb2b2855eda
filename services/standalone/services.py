"""Every service's core, wired on one folder's storage."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from omma.background import running
from omma.index import Index
from omma.outbox import open_outbox
from omma.space import Space
from omma.storage import Storage
from services.egs.client import Embedder
from services.egs.embedder import OnnxEmbedder
from services.gateway.callers.auth import Authenticator, is_loopback
from services.gateway.composition import Gateway, GatewayParts
from services.gateway.composition import compose as compose_gateway
from services.gateway.jobs import Sources
from services.indexer.worker import Indexer, ensure_topics
from services.nn_shard.client import ShardClient
from services.nn_shard.shard import Shard
from services.rerank.local import LocalReranker
from services.standalone import housekeeping
from services.standalone.data_dir import DataDir
from services.standalone.models import choose_model
from services.standalone.settings import StandaloneSettings
from services.topology.indexes import PlacedIndex, ServedIndex, ServedIndexes
from services.topology.registration import live_index, model_in_use
from services.worker.composition import compose as compose_worker


@dataclass(frozen=True, slots=True)
class Services:
    """What answers, on that storage. indexes: what the gateway answers from; none until every shard is ready."""

    storage: Storage
    embedder: Embedder
    index: Index
    shards: tuple[Shard, ...]
    reranker: LocalReranker
    indexes: ServedIndexes
    gateway: Gateway

    async def until_ready(self) -> None:
        """Wait until every shard is loaded and has caught up with the log; from then on searches are answered."""
        for shard in self.shards:
            await shard.replica.until_ready()
        self.indexes.replace([ServedIndex(self.index, self.embedder.space, _placed(self.shards), self.embedder)])


async def start_services(
    settings: StandaloneSettings,
    data: DataDir,
    storage: Storage,
    authenticator: Authenticator,
    stack: AsyncExitStack,
) -> Services:
    """Everything runs until the stack ends it. Raises WrongState (another model), Absent (no model), Corrupt."""
    catalog, log, limits = storage.catalog, storage.log, settings.pictures
    model = await asyncio.to_thread(choose_model, settings, await model_in_use(catalog))
    embedder = await asyncio.to_thread(OnnxEmbedder, model, settings.egs, limits=limits)
    stack.push_async_callback(embedder.close)
    space = embedder.space
    index = await live_index(catalog, space, settings.shards)
    await ensure_topics(log, space)
    shards = _shards(settings, data, storage, space, index)
    await stack.enter_async_context(running(*(shard.run for shard in shards)))
    reranker = LocalReranker.configured(settings.rerank)
    stack.push_async_callback(reranker.close)
    indexer = Indexer(
        catalog=catalog,
        log=log,
        blobs=storage.blobs,
        originals=storage.originals,
        embedder=embedder,
        shards=[shard.client for shard in shards],
        settings=settings.indexer,
        limits=limits,
    )
    outbox = await open_outbox(catalog, log, settings.indexer.images_partitions)
    placed = PlacedIndex(index, space, _placed(shards))
    worker = compose_worker(
        settings.worker,
        storage,
        outbox,
        lambda: placed,
        limits=limits,
        fetch=settings.fetch,
        space=space.id,
        holder=f"{socket.gethostname()}:{settings.data_dir.absolute()}",
        s3=settings.s3,
    )
    loopback = is_loopback(settings.bind)
    indexes = ServedIndexes()
    indexes.follow(await catalog.routing())
    parts = GatewayParts(
        storage=storage,
        outbox=outbox,
        indexes=indexes,
        name=f"{socket.gethostname()}:{os.getpid()}",
        reranker=reranker,
        limits=limits,
        fetch=settings.fetch,
        authenticator=authenticator,
        sources=Sources(folders=True, s3=settings.s3, buckets=settings.gateway.ingest_buckets),
        metrics_open=loopback,
        on_job=worker.jobs.wake,
    )
    gateway = await compose_gateway(settings.gateway, parts, stack)
    clean = partial(housekeeping.clean, log, settings.log_compaction_seconds)
    await stack.enter_async_context(running(indexer.run, *gateway.work, *worker.work, clean))
    return Services(storage, embedder, index, tuple(shards), reranker, indexes, gateway)


def _shards(
    settings: StandaloneSettings, data: DataDir, storage: Storage, space: Space, index: Index
) -> tuple[Shard, ...]:
    return tuple(
        Shard(
            folder=data.shards / index.id / str(number),
            space=space,
            index=index,
            shard=number,
            log=storage.log,
            blobs=storage.blobs,
            catalog=storage.catalog,
            settings=settings.shard,
            holder=f"{socket.gethostname()}:{os.getpid()}",
        )
        for number in range(index.shards)
    )


def _placed(shards: tuple[Shard, ...]) -> tuple[tuple[ShardClient, ...], ...]:
    """The one replica of each."""
    return tuple((shard.client,) for shard in shards)

"""Every service's core, wired on one folder's storage."""

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from omma.background import running
from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.dead_letters import DeadLetters
from omma.index import Index
from omma.outbox import open_outbox
from omma.records import IMAGES_TOPIC
from omma.space import Space
from omma.storage import Storage
from services.egs.client import Embedder
from services.egs.embedder import OnnxEmbedder
from services.gateway.pictures.core import PictureCore
from services.gateway.pictures.ingests import Ingests, Sources
from services.gateway.search.admission import Admission
from services.gateway.search.core import SearchCore
from services.gateway.search.fanout import Fanout
from services.gateway.search.interactions import Impressions, open_impressions
from services.gateway.search.urls import PictureFetcher
from services.indexer.worker import Indexer, ensure_topics
from services.nn_shard.shard import Shard
from services.rerank.local import LocalReranker
from services.rerank.policies import Policies
from services.standalone import housekeeping
from services.standalone.data_dir import DataDir
from services.standalone.models import choose_model
from services.standalone.settings import StandaloneSettings
from services.topology.indexes import ServedIndex, ServedIndexes
from services.topology.registration import live_index, model_in_use
from services.worker.ingest.feeds import Feeds
from services.worker.recording import record_interactions
from services.worker.truth import Truth


@dataclass(frozen=True, slots=True)
class Services:
    """What answers, on that storage."""

    storage: Storage
    embedder: Embedder
    index: Index
    shards: tuple[Shard, ...]
    reranker: LocalReranker
    search: SearchCore
    pictures: PictureCore
    impressions: Impressions
    ingests: Ingests
    dead_letters: DeadLetters
    truth: Truth

    async def until_ready(self) -> None:
        """Wait until every shard is loaded and has caught up with the log; from then on searches are answered."""
        for shard in self.shards:
            await shard.replica.until_ready()
        replicas = tuple((shard.client,) for shard in self.shards)
        self.search.indexes.replace([ServedIndex(self.index, self.embedder.space, self.embedder, replicas)])


async def start_services(
    settings: StandaloneSettings, data: DataDir, storage: Storage, stack: AsyncExitStack
) -> Services:
    catalog, log, limits = storage.catalog, storage.log, settings.pictures
    model = await asyncio.to_thread(choose_model, settings, await model_in_use(catalog))
    embedder = await asyncio.to_thread(OnnxEmbedder, model, settings.egs, limits=limits)
    stack.push_async_callback(embedder.close)
    index = await live_index(catalog, embedder.space, settings.shards)
    await ensure_topics(log, embedder.space)
    shards = _shards(settings, data, storage, embedder.space, index)
    await stack.enter_async_context(running(*(shard.run for shard in shards)))

    reranker = LocalReranker(
        Policies(settings.rerank.policies, settings.rerank.default_policy), threads=settings.rerank.threads
    )
    stack.push_async_callback(reranker.close)
    gateway = settings.gateway
    impressions = await open_impressions(
        log, max_queued=gateway.impressions_queued, sampled=gateway.impressions_sampled
    )
    urls = PictureFetcher(max_bytes=limits.max_bytes, timeout_seconds=gateway.url_timeout_seconds)
    stack.push_async_callback(urls.close)
    search = SearchCore(
        ServedIndexes(),
        reranker,
        storage.originals,
        urls,
        impressions,
        fanout=Fanout(gateway.fanout),
        admission=Admission(
            gateway.max_concurrent_searches, gateway.max_waiting_searches, gateway.max_search_wait_seconds
        ),
        max_text_characters=gateway.max_text_characters,
        max_picture_bytes=limits.max_bytes,
    )
    outbox = await open_outbox(catalog, log, settings.indexer.images_partitions)
    pictures = PictureCore(
        catalog,
        storage.blobs,
        storage.originals,
        outbox,
        _executor(stack, gateway.picture_threads, "pictures"),
        picture_limits=limits,
        row_limits=gateway.row_limits,
        max_concurrent_uploads=gateway.max_concurrent_uploads,
    )
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
    await stack.enter_async_context(
        running(
            indexer.run,
            impressions.run,
            partial(record_interactions, log, catalog, kept_days=gateway.interactions_kept_days),
            partial(pictures.relay, gateway.resend_seconds),
            partial(housekeeping.clean, log, settings.log_compaction_seconds),
        )
    )
    group = indexer_group(embedder.space.id)
    indexed = partial(wait_until_handled, log, IMAGES_TOPIC, group)
    feeds = Feeds.on(
        storage,
        outbox,
        settings.indexer,
        limits=limits,
        s3=settings.s3,
        space=embedder.space,
        holder=f"{socket.gethostname()}:{settings.data_dir.absolute()}",
        executor=_executor(stack, 1, "folders"),
    )
    await stack.enter_async_context(running(*feeds.work()))
    ingests = Ingests(
        catalog,
        Sources(folders=True, s3=settings.s3, buckets=gateway.ingest_buckets),
        partial(backlog, log, IMAGES_TOPIC, group),
        gateway.ingests_unfinished,
        feeds.jobs.wake,
    )
    dead_letters = DeadLetters(catalog, log, outbox, indexed)
    return Services(
        storage=storage,
        embedder=embedder,
        index=index,
        shards=tuple(shards),
        reranker=reranker,
        search=search,
        pictures=pictures,
        impressions=impressions,
        ingests=ingests,
        dead_letters=dead_letters,
        truth=Truth.on(storage, outbox, dead_letters, search.indexes, max_picture_bytes=limits.max_bytes),
    )


def _shards(settings: StandaloneSettings, data: DataDir, storage: Storage, space: Space, index: Index) -> list[Shard]:
    return [
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
    ]


def _executor(stack: AsyncExitStack, threads: int, name: str) -> ThreadPoolExecutor:
    executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
    stack.callback(executor.shutdown, wait=False, cancel_futures=True)
    return executor

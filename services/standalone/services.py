"""Every service's core, wired on one folder's storage."""

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from omma.background import running
from omma.errors import WrongState
from omma.index import Index
from omma.outbox import open_outbox
from omma.rollouts.asked import RolloutRequest
from omma.storage import Storage
from services.egs.embedder import OnnxEmbedder
from services.gateway.callers.auth import Authenticator, is_loopback
from services.gateway.composition import Gateway, GatewayParts
from services.gateway.composition import compose as compose_gateway
from services.gateway.jobs import Sources
from services.gateway.rollouts.rollouts import OWNER, Rollouts
from services.indexer.regions import vectors_a_picture
from services.rerank.local import LocalReranker
from services.standalone import housekeeping
from services.standalone.candidates import FolderCandidates
from services.standalone.data_dir import DataDir
from services.standalone.fleet import Fleet
from services.standalone.models import choose_model, find_model, stored_with
from services.standalone.settings import StandaloneSettings
from services.topology.indexes import ServedIndexes
from services.topology.registration import live_index, space_in_use
from services.worker.composition import compose as compose_worker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What answers, on that storage. indexes: what the gateway answers from; none until the live one is ready."""

    storage: Storage
    fleet: Fleet
    reranker: LocalReranker
    indexes: ServedIndexes
    gateway: Gateway

    async def until_ready(self) -> None:
        """Wait until every shard of the live index is loaded and has caught up with the log: then it answers."""
        await self.fleet.until_live()


async def start_services(
    settings: StandaloneSettings,
    data: DataDir,
    storage: Storage,
    authenticator: Authenticator,
    stack: AsyncExitStack,
) -> Services:
    """Everything runs until the stack ends it. Another model in the settings than what is stored is rolled out beside
    it. Raises Absent (no model), Corrupt, WrongState (the model is not what it was, or has not what
    OMMA_INDEXER__REGIONS wants).
    """
    catalog, log, limits = storage.catalog, storage.log, settings.pictures
    used = await space_in_use(catalog)
    if settings.model:  # said before anything runs
        await asyncio.to_thread(find_model, settings, settings.model)
    model = (
        await asyncio.to_thread(choose_model, settings)
        if used is None
        else await asyncio.to_thread(stored_with, settings, used)
    )
    indexes = ServedIndexes()
    fleet = Fleet(settings, data, storage, indexes, stack)
    embedder = await asyncio.to_thread(OnnxEmbedder, model, settings.egs, limits=limits)
    fleet.know(embedder)
    vectors_a_picture(settings.indexer.regions, embedder)
    index = await live_index(catalog, embedder.space, settings.shards)
    name = f"{socket.gethostname()}:{os.getpid()}"
    indexes.follow(await catalog.routing())
    reranker = LocalReranker.configured(settings.rerank)
    stack.push_async_callback(reranker.close)
    outbox = await open_outbox(catalog, log, settings.indexer.images_partitions)
    worker = compose_worker(
        settings.worker,
        storage,
        outbox,
        indexes.live,
        indexes.placed,
        limits=limits,
        fetch=settings.fetch,
        live_space=indexes.live_space,
        holder=f"{socket.gethostname()}:{settings.data_dir.absolute()}",
        s3=settings.s3,
    )
    loopback = is_loopback(settings.bind)
    candidates = FolderCandidates(settings, data)
    parts = GatewayParts(
        storage=storage,
        outbox=outbox,
        indexes=indexes,
        name=name,
        reranker=reranker,
        limits=limits,
        fetch=settings.fetch,
        authenticator=authenticator,
        sources=Sources(folders=True, s3=settings.s3, buckets=settings.gateway.ingest_buckets),
        candidates=candidates,
        metrics_open=loopback,
        on_job=worker.jobs.wake,
    )
    gateway = await compose_gateway(settings.gateway, parts, stack)
    clean = partial(housekeeping.clean, log, settings.log_compaction_seconds)
    await stack.enter_async_context(running(fleet.run, *gateway.work, *worker.work, clean))
    if used is not None and settings.model:
        await _roll_out(gateway.rollouts, settings, index)
    return Services(storage, fleet, reranker, indexes, gateway)


async def _roll_out(rollouts: Rollouts, settings: StandaloneSettings, index: Index) -> None:
    """OMMA_MODEL names another model than what is stored is embedded with: it is built beside, if it is not yet."""
    model = await rollouts.candidates.model(settings.model)
    if model.space.id == index.space:
        return
    wanted = model.reference
    try:
        rollout = await rollouts.start(RolloutRequest(model=wanted, reason="OMMA_MODEL names it"), by=OWNER)
    except WrongState as error:
        logger.warning("%s is not rolled out anew: %s", wanted, error.detail)
        return
    logger.warning(
        "%s is being built beside %s, which answers as before: `omma rollout status`",
        rollout.candidate,
        index.id,
        extra={"rollout": rollout.id},
    )

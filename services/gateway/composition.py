"""The gateway, wired on given parts: the same in its own process and beside everything else."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from omma.background import running
from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.catalog.interface import Catalog
from omma.dead_letters import DeadLetters
from omma.fetching import FetchSettings
from omma.images import PictureLimits
from omma.outbox import Outbox
from omma.persistence import until_there
from omma.records import IMAGES_TOPIC
from omma.rpc.server import Registration
from omma.storage import Storage
from omma.v1 import search_pb2_grpc
from services.gateway.callers.audit import AuditTrail
from services.gateway.callers.auth import Authenticator
from services.gateway.curation.anomalies import AnomalyList
from services.gateway.curation.auto_tags import AutoTagDesk
from services.gateway.curation.clusters import ClusterDesk
from services.gateway.curation.duplicates import Duplicates
from services.gateway.curation.feedback import FeedbackDesk
from services.gateway.curation.verdicts import Verdicts
from services.gateway.erasing import Erasing
from services.gateway.grpc.entrance import Entrance
from services.gateway.grpc.servicer import SearchServicer
from services.gateway.health import Health
from services.gateway.jobs import Jobs, Sources
from services.gateway.lists import Lists
from services.gateway.pictures.core import PictureCore
from services.gateway.pictures.trace import Tracer
from services.gateway.rest.app import create_app
from services.gateway.rest.curation import Curation
from services.gateway.rest.operation import Operation
from services.gateway.rollouts.experiments import Experiments
from services.gateway.rollouts.fitness import Fitness
from services.gateway.rollouts.relevance import Relevance
from services.gateway.rollouts.rollouts import Candidates, Rollouts
from services.gateway.search.admission import Admission
from services.gateway.search.core import SearchCore
from services.gateway.search.fanout import Fanout
from services.gateway.search.interactions import Impressions, open_impressions
from services.gateway.search.pseudonyms import OF_USERS, KeptName, as_given, pseudonyms
from services.gateway.search.recall import Recall
from services.gateway.search.rollout.figures import ArmFigures
from services.gateway.search.rollout.shadow import Shadow
from services.gateway.search.slow import SlowSearches
from services.gateway.search.urls import PictureFetcher
from services.gateway.search.vocabulary import Vocabulary
from services.gateway.settings import GatewaySettings
from services.gateway.sharing.bodies import Bodies
from services.gateway.surroundings import Surroundings
from services.gateway.uploads import Uploads
from services.gateway.vector_lists import OwnSpaces, VectorLists
from services.rerank.client import Reranker
from services.topology.follower import RoutingFollower
from services.topology.indexes import ServedIndexes


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What a gateway stands on. limits: of a picture. fetch: from where. sources: what may be
    ingested. name: under which it says what routing it follows; no other gateway's.

    metrics_open: /metrics without a key, for a loopback address. on_job: told when a job was added or cancelled.
    """

    storage: Storage
    outbox: Outbox
    indexes: ServedIndexes
    name: str
    reranker: Reranker
    limits: PictureLimits
    fetch: FetchSettings
    authenticator: Authenticator
    sources: Sources
    candidates: Candidates
    metrics_open: bool
    on_job: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Gateway:
    """The cores, and both faces over them. work: each runs until it is cancelled. entrance: for other services on the
    same gRPC server.
    """

    search: SearchCore
    pictures: PictureCore
    impressions: Impressions
    dead_letters: DeadLetters
    health: Health
    rollouts: Rollouts
    trail: AuditTrail
    rest: FastAPI
    work: tuple[Callable[[], Awaitable[None]], ...]
    entrance: Entrance
    rpc: Registration


async def compose(settings: GatewaySettings, parts: GatewayParts, stack: AsyncExitStack) -> Gateway:
    """What it opens is closed by the stack."""
    storage, indexes = parts.storage, parts.indexes
    catalog, log = storage.catalog, storage.log
    await stack.enter_async_context(running(parts.authenticator.run))
    urls = PictureFetcher(
        max_bytes=parts.limits.max_bytes,
        timeout_seconds=settings.url_timeout_seconds,
        networks=parts.fetch.networks,
    )
    stack.push_async_callback(urls.close)
    impressions = await until_there(
        "Kafka",
        partial(
            open_impressions,
            log,
            max_queued=settings.impressions_queued,
            sampled=settings.impressions_sampled,
            kept_name=await _kept_name(settings, catalog),
        ),
    )
    surroundings = Surroundings(catalog, log, indexes)
    verdicts = Verdicts(catalog)
    admission = Admission(
        settings.max_concurrent_searches,
        settings.max_waiting_searches,
        settings.max_search_wait_seconds,
        shares=settings.shares,
        slow_seconds=settings.slow_search_seconds,
    )
    arms = ArmFigures(catalog, indexes, parts.name)
    shadow = Shadow(
        indexes, arms, lambda: admission.busy, sampled=settings.shadow_sampled, at_once=settings.shadow_at_once
    )
    vocabulary = Vocabulary(settings.keyword_words)
    recall = Recall(arms, lambda: admission.busy, sampled=settings.recall_sampled)
    search = SearchCore(
        indexes,
        parts.reranker,
        storage.originals,
        urls,
        impressions,
        behind=lambda: surroundings.behind,
        verdicts=verdicts.among,
        fanout=Fanout(settings.fanout),
        admission=admission,
        arms=arms,
        shadow=shadow,
        recall=recall,
        vocabulary=vocabulary,
        slow=SlowSearches(settings.slow_query_ms, with_words=settings.slow_query_words),
        max_text_characters=settings.max_text_characters,
        max_picture_bytes=parts.limits.max_bytes,
        kept_embeddings_bytes=settings.kept_embeddings_bytes,
        kept_results_bytes=settings.kept_results_bytes,
    )
    executor = ThreadPoolExecutor(settings.picture_threads, thread_name_prefix="pictures")
    stack.callback(executor.shutdown, wait=False, cancel_futures=True)
    pictures = PictureCore(
        catalog,
        storage.blobs,
        storage.originals,
        parts.outbox,
        executor,
        picture_limits=parts.limits,
        row_limits=storage.row_limits,
        max_concurrent_uploads=settings.max_concurrent_uploads,
        shares=settings.shares,
        deleted_grace_seconds=storage.deleted_grace_seconds,
    )

    async def waiting() -> int:
        return await backlog(log, IMAGES_TOPIC, indexer_group(indexes.live_space()))

    async def handled() -> None:
        await wait_until_handled(log, IMAGES_TOPIC, indexer_group(indexes.live_space()))

    dead_letters = DeadLetters(catalog, log, parts.outbox, handled, indexes.live_space)
    jobs = Jobs(catalog, parts.sources, waiting, settings.jobs_unfinished, parts.on_job)
    lists = Lists(jobs, parts.sources, catalog, storage.blobs, storage.row_limits)
    spaces = OwnSpaces(catalog, parts.candidates)
    vector_lists = VectorLists(spaces, jobs, catalog, storage.blobs, storage.row_limits)
    erasing = Erasing(catalog, parts.outbox, jobs)
    tracer = Tracer(storage, dead_letters, indexes, max_picture_bytes=parts.limits.max_bytes)
    health = Health(indexes, surroundings)
    fitness = Fitness(indexes, recall.at_10)
    rollouts = Rollouts(catalog, parts.candidates, fitness, keep_for_seconds=settings.rollout_keep_for_seconds)
    trail = AuditTrail(catalog)
    bodies = Bodies(settings.max_body_bytes, settings.shares)
    uploads = Uploads(catalog, storage.blobs, parts.limits.max_bytes)
    experiments = Experiments(catalog, parts.reranker)
    operation = Operation(
        catalog,
        dead_letters,
        jobs,
        lists,
        spaces,
        vector_lists,
        uploads,
        tracer,
        rollouts,
        experiments,
        erasing,
        Relevance(catalog, search),
    )
    app = create_app(
        search,
        pictures,
        impressions,
        operation,
        parts.authenticator,
        health,
        settings,
        curation=Curation(
            FeedbackDesk(catalog),
            jobs,
            AnomalyList(catalog, storage.blobs),
            ClusterDesk(storage.blobs, jobs, vocabulary, indexes),
            Duplicates(catalog, search, verdicts),
            AutoTagDesk(catalog, storage.blobs, jobs, vocabulary, indexes),
        ),
        bodies=bodies,
        trail=trail,
        metrics_open=parts.metrics_open,
    )
    entrance = Entrance(parts.authenticator, bodies, settings.shares, trail, seconds=settings.body_seconds)
    servicer = SearchServicer(search, pictures, entrance, seconds=settings.request_seconds)
    rpc = entrance.before(partial(search_pb2_grpc.add_SearchServiceServicer_to_server, servicer))
    follower = RoutingFollower(catalog, indexes, parts.name)
    looks = (surroundings.run, verdicts.run, follower.run, vocabulary.run)
    work = (*looks, trail.run, impressions.run, arms.run, shadow.run, recall.run)
    return Gateway(search, pictures, impressions, dead_letters, health, rollouts, trail, app, work, entrance, rpc)


async def _kept_name(settings: GatewaySettings, catalog: Catalog) -> KeptName:
    if settings.user_ids == "plain":
        return as_given
    return pseudonyms(await until_there("PostgreSQL", partial(catalog.secret, OF_USERS)))

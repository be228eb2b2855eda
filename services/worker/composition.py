"""The worker, wired on a storage: the same in its own process and beside everything else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.blobs.s3_settings import S3Settings
from omma.fetching import Fetcher, FetchSettings
from omma.identity import Tenant
from omma.images import PictureLimits, media_type
from omma.job_kinds import (
    ANOMALIES,
    AUTO_TAGS,
    CLUSTER,
    COLLECT,
    ERASE,
    INGEST,
    INGEST_LIST,
    INGEST_VECTORS,
    VERIFY,
    AnomaliesParameters,
    CollectParameters,
)
from omma.outbox import Outbox
from omma.records import IMAGES_TOPIC
from omma.storage import Storage
from services.topology.indexes import PlacedIndex
from services.worker.auditing import forget_audit
from services.worker.curation.anomalies import AnomalyScorer
from services.worker.curation.auto_tags import AutoTagger
from services.worker.curation.calibrator import Calibrator
from services.worker.curation.clusters import Clusterer
from services.worker.curation.copies import CopyFinder
from services.worker.erasing.attending import attend
from services.worker.erasing.eraser import Eraser
from services.worker.erasing.log_traces import LogTraces
from services.worker.erasing.shard_traces import ShardTraces
from services.worker.ingest.bucket import BucketIngest
from services.worker.ingest.folder import FolderIngest
from services.worker.ingest.follower import ObjectFollower
from services.worker.ingest.inbox import Inbox, InboxPlace
from services.worker.jobs.anomalies import AnomaliesWork
from services.worker.jobs.auto_tags import AutoTagsWork
from services.worker.jobs.cluster import ClusterWork
from services.worker.jobs.collect import CollectWork
from services.worker.jobs.erase import EraseWork
from services.worker.jobs.ingest import IngestWork
from services.worker.jobs.listed import ListWork
from services.worker.jobs.runner import JobRunner
from services.worker.jobs.schedule import Scheduled, keep_schedule
from services.worker.jobs.vectors import VectorsWork
from services.worker.jobs.verify import VerifyWork
from services.worker.judge import Judge
from services.worker.lists.helping import ListHelper
from services.worker.lists.ingest import ListIngest
from services.worker.lists.places import Places
from services.worker.lists.vectors import VectorIngest
from services.worker.recording import record_interactions
from services.worker.relay import relay, tell_again
from services.worker.rollouts.builder import Builder
from services.worker.rollouts.clearing import Clearer
from services.worker.rollouts.telling import tell_steps
from services.worker.settings import WorkerSettings
from services.worker.truth.collector import Collector
from services.worker.truth.verify import Verifier

Run = Callable[[], Awaitable[None]]

_SOONEST_SECONDS: Final = 1.0
"""Between two looks for bytes to delete, where a deleted picture cannot be restored at all."""


@dataclass(frozen=True, slots=True)
class Worker:
    """work: each runs until it is cancelled."""

    jobs: JobRunner
    work: tuple[Run, ...]


def compose(
    settings: WorkerSettings,
    storage: Storage,
    outbox: Outbox,
    live: Callable[[], PlacedIndex],
    placed: Callable[[str], PlacedIndex | None],
    *,
    limits: PictureLimits,
    fetch: FetchSettings,
    live_space: Callable[[], str],
    holder: str,
    s3: S3Settings | None = None,
) -> Worker:
    """live: the index that answers now. placed: any index by its id, None where it has no place. limits: of a picture.
    fetch: from where.

    live_space: whose indexer tells what is handled. holder: of leases; the same when this process is started again,
    and nobody else's. s3: where the inbox is.
    """
    catalog, log = storage.catalog, storage.log

    async def waiting() -> int:
        return await backlog(log, IMAGES_TOPIC, indexer_group(live_space()))

    async def indexed() -> None:
        await wait_until_handled(log, IMAGES_TOPIC, indexer_group(live_space()))

    folders = FolderIngest(catalog, outbox, indexed, max_picture_bytes=limits.max_bytes, row_limits=storage.row_limits)

    def places(tenant: Tenant) -> Places:
        fetcher = Fetcher(max_bytes=limits.max_bytes, networks=fetch.networks, judge=media_type)
        return Places(fetcher, storage.blobs, storage.objects, tenant, limits=limits, settings=settings.urls)

    lists = ListIngest(
        catalog,
        storage.blobs,
        storage.originals,
        outbox,
        places=places,
        row_limits=storage.row_limits,
        backlog=waiting,
        indexed=indexed,
        max_backlog=settings.bucket_backlog,
        urls=settings.urls,
        holder=holder,
        lease_seconds=settings.job_lease_seconds,
    )
    vectors = VectorIngest(
        catalog,
        storage.blobs,
        outbox,
        backlog=lambda space: backlog(log, IMAGES_TOPIC, indexer_group(space)),
        indexed=lambda space: wait_until_handled(log, IMAGES_TOPIC, indexer_group(space)),
        max_backlog=settings.bucket_backlog,
    )
    buckets, inbox = None, None
    if storage.objects is not None and s3 is not None:
        follower = ObjectFollower(catalog, outbox, storage.objects, limits.max_bytes)
        buckets = BucketIngest(
            catalog,
            follower,
            storage.objects,
            backlog=waiting,
            indexed=indexed,
            max_backlog=settings.bucket_backlog,
            per_second=settings.bucket_objects_per_second,
        )
        if s3.inbox:
            inbox = Inbox(log, follower, InboxPlace.parse(s3.inbox, settings.inbox_tenant), settings)
    verifier = Verifier(storage, outbox, live, placed, settle_seconds=settings.settle_seconds)
    grace_seconds = storage.deleted_grace_seconds
    collector = Collector(catalog, storage.blobs, grace_seconds)
    eraser = Eraser(
        catalog,
        log,
        LogTraces(catalog, log, outbox),
        ShardTraces(catalog, storage.blobs, placed),
        collector,
        grace_seconds=grace_seconds,
        within_seconds=settings.erase_seconds,
    )
    collect_seconds = max(_SOONEST_SECONDS, min(settings.collect_seconds, grace_seconds))
    schedule = (
        Scheduled(COLLECT, CollectParameters(), collect_seconds),
        Scheduled(COLLECT, CollectParameters(sweep=True), settings.sweep_seconds, source="sweep"),
        Scheduled(ANOMALIES, AnomaliesParameters(every_tenant=True), settings.anomalies_seconds, source="every tenant"),
    )
    jobs = JobRunner(
        catalog,
        holder,
        settings,
        {
            ANOMALIES.name: AnomaliesWork(AnomalyScorer(catalog, storage.blobs, live)),
            AUTO_TAGS.name: AutoTagsWork(AutoTagger(catalog, storage.blobs, live)),
            CLUSTER.name: ClusterWork(Clusterer(catalog, storage.blobs, live)),
            COLLECT.name: CollectWork(collector, catalog, storage.blobs),
            ERASE.name: EraseWork(eraser),
            INGEST.name: IngestWork(folders, buckets),
            INGEST_LIST.name: ListWork(lists),
            INGEST_VECTORS.name: VectorsWork(vectors),
            VERIFY.name: VerifyWork(verifier),
        },
    )
    work: list[Run] = [
        jobs.run,
        ListHelper(catalog, lists, holder, settings.job_poll_seconds).run,
        partial(keep_schedule, catalog, schedule, jobs.wake),
        partial(attend, catalog, jobs.wake, settings.resend_seconds),
        partial(relay, outbox, settings.resend_seconds),
        partial(tell_again, outbox, waiting, settings.bucket_backlog, settings.resend_seconds),
        Builder(catalog, placed, every_seconds=settings.rollout_look_seconds).run,
        Clearer(storage, holder, every_seconds=settings.rollout_look_seconds).run,
        partial(tell_steps, catalog, log, settings.rollout_look_seconds),
        partial(record_interactions, log, catalog, kept_days=settings.interactions_kept_days),
        partial(forget_audit, catalog, settings.audit_kept_days),
        Judge(catalog, holder, settings.judge_seconds).run,
        Calibrator(catalog, placed, settings.calibrate_seconds).run,
        CopyFinder(catalog, storage.originals, live, limits, holder=holder, every_seconds=settings.copies_seconds).run,
    ]
    if inbox is not None:
        work.append(inbox.run)
    return Worker(jobs, tuple(work))

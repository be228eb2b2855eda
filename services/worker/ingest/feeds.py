"""What feeds `omma.images` beside uploads, wired on a storage: jobs, and the inbox."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.blobs.s3_settings import S3Settings
from omma.images import PictureLimits
from omma.outbox import Outbox
from omma.records import IMAGES_TOPIC
from omma.space import Space
from omma.storage import Storage
from services.indexer.settings import IndexerSettings
from services.worker.ingest.bucket import BucketIngest
from services.worker.ingest.folder import FolderIngest
from services.worker.ingest.follower import ObjectFollower
from services.worker.ingest.inbox import Inbox, InboxPlace
from services.worker.jobs import FolderSource, JobRunner


@dataclass(frozen=True, slots=True)
class Feeds:
    """inbox: None when the settings name none."""

    jobs: JobRunner
    inbox: Inbox | None

    @classmethod
    def on(
        cls,
        storage: Storage,
        outbox: Outbox,
        settings: IndexerSettings,
        *,
        limits: PictureLimits,
        s3: S3Settings | None,
        space: Space,
        holder: str,
        executor: Executor,
    ) -> "Feeds":
        """space: whose indexer tells what is handled. holder: as JobRunner. executor: for walking folders."""
        group = indexer_group(space.id)
        indexed = partial(wait_until_handled, storage.log, IMAGES_TOPIC, group)
        folders = FolderSource(FolderIngest(storage.catalog, outbox, executor, indexed))
        if storage.objects is None or s3 is None:
            return cls(JobRunner(storage.catalog, holder, settings, folders=folders), None)
        follower = ObjectFollower(storage.catalog, outbox, storage.objects, limits.max_bytes)
        buckets = BucketIngest(
            storage.catalog,
            follower,
            storage.objects,
            backlog=partial(backlog, storage.log, IMAGES_TOPIC, group),
            indexed=indexed,
            max_backlog=settings.bucket_backlog,
            per_second=settings.bucket_objects_per_second,
        )
        inbox = None
        if s3.inbox:
            place = InboxPlace.parse(s3.inbox, settings.inbox_tenant)
            inbox = Inbox(storage.log, follower, place, settings)
        return cls(JobRunner(storage.catalog, holder, settings, folders=folders, buckets=buckets), inbox)

    def work(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What runs until it is cancelled."""
        return (self.jobs.run,) if self.inbox is None else (self.jobs.run, self.inbox.run)

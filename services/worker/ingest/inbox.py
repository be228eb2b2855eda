"""The inbox: what others put into a bucket becomes searchable, told by the bucket's own notifications."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from omma.catalog.objects import is_newer
from omma.catalog.picture import MAX_TENANT_BYTES
from omma.errors import ConcurrentWrite
from omma.identity import DEFAULT_TENANT, Tenant
from omma.log.interface import Consumer, Log, LogRecord, TopicPartition, TopicSpec
from omma.persistence import persist
from omma.telemetry.metrics import INBOX_EVENTS
from services.worker.ingest.follower import ObjectFollower
from services.worker.ingest.s3_events import ObjectEvent, object_events
from services.worker.settings import WorkerSettings

GROUP: Final = "indexer.inbox"
_FOLDER: Final = "/"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InboxPlace:
    """Where others put pictures. tenant: whose they are; None: the first folder of a key below the prefix names it."""

    bucket: str
    prefix: str = ""
    tenant: Tenant | None = DEFAULT_TENANT

    @classmethod
    def parse(cls, inbox: str, tenant: str) -> "InboxPlace":
        """inbox: `bucket` or `bucket/prefix`. tenant: empty for the key's first folder."""
        bucket, _, prefix = inbox.partition("/")
        return cls(bucket, prefix, Tenant(tenant) if tenant else None)

    def owner_of(self, event: ObjectEvent) -> Tenant | None:
        """None for an object that is none of ours: elsewhere, a folder, or in no tenant's."""
        if event.bucket != self.bucket or not event.key.startswith(self.prefix) or event.key.endswith(_FOLDER):
            return None
        if self.tenant is not None:
            return self.tenant
        folder, slash, _ = event.key.removeprefix(self.prefix).lstrip(_FOLDER).partition(_FOLDER)
        return Tenant(folder) if slash and _may_be_tenant(folder) else None


class Inbox:
    """Reads notifications from a topic in batches. An offset is committed once rows and events are durable."""

    def __init__(self, log: Log, follower: ObjectFollower, place: InboxPlace, settings: WorkerSettings) -> None:
        self._log = log
        self._follower = follower
        self._place = place
        self._settings = settings

    async def run(self) -> None:
        """Until cancelled; what was not committed is taken again by the next run."""
        topic = self._settings.inbox_topic
        await persist("inbox topic", self._ensure_topic, self._settings.retry_seconds)
        join = partial(self._log.subscribe, topic, GROUP)
        consumer = await persist("inbox group", join, self._settings.retry_seconds)
        poll = partial(consumer.poll, self._settings.inbox_batch, self._settings.poll_seconds)
        try:
            while True:
                records = await persist("inbox poll", poll, self._settings.retry_seconds)
                if records:
                    await persist("inbox", partial(self._handle, consumer, records), self._settings.retry_seconds)
        finally:
            await consumer.close()

    async def _ensure_topic(self) -> None:
        topic = self._settings.inbox_topic
        if topic not in {spec.name for spec in await self._log.topics()}:
            await self._log.ensure_topic(TopicSpec(topic, self._settings.inbox_partitions))

    async def _handle(self, consumer: Consumer, records: Sequence[LogRecord]) -> None:
        newest: dict[Tenant, dict[str, str]] = {}
        for record in records:
            for event in _events(record):
                tenant = self._place.owner_of(event)
                INBOX_EVENTS.labels("elsewhere" if tenant is None else "followed").inc()
                if tenant is not None:
                    of_tenant = newest.setdefault(tenant, {})
                    of_tenant[event.key] = _newer(event.sequencer, of_tenant.get(event.key, ""))
        for tenant, sequencers in newest.items():
            await self._follower.heard(tenant, self._place.bucket, sequencers)
        offsets = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        try:
            await consumer.commit(offsets)
        except ConcurrentWrite:
            logger.info("a part of the inbox belongs to another worker now, which reads these events again")


def _events(record: LogRecord) -> list[ObjectEvent]:
    try:
        return object_events(record.value or b"")
    except ValueError as error:
        INBOX_EVENTS.labels("unreadable").inc()
        at = f"{record.topic}[{record.partition}] {record.offset}"
        logger.warning("a notification is passed over", extra={"at": at, "reason": str(error)})
        return []


def _may_be_tenant(folder: str) -> bool:
    """Told from outside, by whoever may put an object there."""
    size = len(folder.encode("utf-8", "surrogatepass"))
    return 0 < size <= MAX_TENANT_BYTES and folder.isprintable()


def _newer(sequencer: str, other: str) -> str:
    return sequencer if is_newer(sequencer, than=other) else other

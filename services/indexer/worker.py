"""The indexer of one space: from `omma.images` to `omma.vectors.<space>`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from omma.backlog import indexer_group
from omma.blobs.interface import Blobs
from omma.blobs.originals import Originals
from omma.catalog.interface import Catalog
from omma.errors import OmmaError
from omma.log.interface import Consumer, Log, LogRecord, Producer, ProducerFenced, TopicSpec
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC
from omma.space import Space
from omma.telemetry.context import bind_request_id
from omma.telemetry.metrics import INDEXED_PICTURES, INDEXER_BATCH_SECONDS
from omma.telemetry.traces import span
from services.egs.client import Embedder
from services.indexer.commit import Committer, Resolved
from services.indexer.plan import decode, plan
from services.indexer.settings import IndexerSettings
from services.indexer.sources import VectorSources
from services.nn_shard.client import ShardClient

T = TypeVar("T")

logger = logging.getLogger(__name__)

_LONGEST_RETRY_SECONDS: Final = 10.0


async def ensure_topics(log: Log, space: Space) -> None:
    """The topics that the indexer writes. Raises WrongState when one exists with other partitions or compaction."""
    await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    await log.ensure_topic(TopicSpec(DEAD_LETTERS_TOPIC, 1, compacted=True))


class Indexer:
    """Takes events in batches, resolves several batches at once, and commits them in the order of the log.

    A lone event is taken at once; under load, batches grow by themselves while earlier ones are under way.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        log: Log,
        blobs: Blobs,
        originals: Originals,
        embedder: Embedder,
        shards: Sequence[ShardClient],
        settings: IndexerSettings,
    ) -> None:
        """shards: one client a shard of an index of the space, in order; vectors are copied from them."""
        self._catalog = catalog
        self._log = log
        self._space = embedder.space
        self._settings = settings
        self._sources = VectorSources(
            catalog=catalog,
            blobs=blobs,
            originals=originals,
            embedder=embedder,
            shards=shards,
            settings=settings,
        )

    async def run(self) -> None:
        """Until cancelled; what was not committed is taken again by the next run. Raises ProducerFenced."""
        group = indexer_group(self._space.id)
        await ensure_topics(self._log, self._space)
        committer = Committer(self._catalog, self._log, self._space, group)
        consumer = await self._log.subscribe(IMAGES_TOPIC, group, committer.claim)
        resolved: asyncio.Queue[asyncio.Task[Resolved]] = asyncio.Queue(self._settings.batches_in_flight - 1)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._take(consumer, committer, resolved, tasks))
                tasks.create_task(self._commit(consumer, committer, resolved))
        except* ProducerFenced as group_of_errors:
            raise group_of_errors.exceptions[0] from None
        finally:
            await consumer.close()
            await committer.close()

    async def _take(
        self,
        consumer: Consumer,
        committer: Committer,
        resolved: asyncio.Queue[asyncio.Task[Resolved]],
        tasks: asyncio.TaskGroup,
    ) -> None:
        poll = partial(consumer.poll, self._settings.batch_pictures, self._settings.poll_seconds)
        while True:
            records = await self._persist("poll", poll)
            if records:
                claims = committer.claims({record.partition for record in records})
                await resolved.put(tasks.create_task(self._resolve_surely(records, claims)))

    async def _commit(
        self, consumer: Consumer, committer: Committer, resolved: asyncio.Queue[asyncio.Task[Resolved]]
    ) -> None:
        while True:
            batch = await (await resolved.get())
            with INDEXER_BATCH_SECONDS.time(), span("index_commit"):
                await self._persist("commit", partial(committer.commit, batch, consumer.assignment))

    async def _resolve_surely(self, records: Sequence[LogRecord], claims: Mapping[int, Producer]) -> Resolved:
        return await self._persist("resolve", partial(self._resolve, records, claims))

    async def _resolve(self, records: Sequence[LogRecord], claims: Mapping[int, Producer]) -> Resolved:
        events, unreadable = decode(records)
        rows = await self._catalog.pictures({event.image_id for _, event in events})
        batch = plan(events, rows, unreadable)
        INDEXED_PICTURES.labels("stale").inc(len(events) - len(batch.living) - len(batch.deleted))
        if len(events) == 1:
            bind_request_id(events[0][1].request_id)
        with span("index_resolve"):
            outcomes = await self._sources.find(batch.living, batch.unchanged_bytes) if batch.living else {}
        next_offsets = {record.partition: record.offset + 1 for record in records}
        return Resolved(batch, outcomes, next_offsets, claims)

    async def _persist(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works: an event may wait, but is never lost. The wait doubles, up to ten seconds."""
        wait_seconds = self._settings.retry_seconds
        while True:
            try:
                return await attempt()
            except ProducerFenced:
                raise
            except OmmaError as error:
                logger.warning("indexer tries again", extra={"what": what, "kind": error.kind, "reason": error.detail})
            except Exception:
                logger.exception("indexer tries again", extra={"what": what})
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _LONGEST_RETRY_SECONDS)

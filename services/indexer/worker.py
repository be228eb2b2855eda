"""The indexer of one space: from `omma.images` to `omma.vectors.<space>`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from omma.backlog import indexer_group
from omma.blobs.interface import Blobs
from omma.blobs.originals import Originals
from omma.catalog.interface import Catalog
from omma.errors import Kind
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.log.interface import Consumer, Log, LogRecord, Producer, ProducerFenced, TopicSpec
from omma.persistence import persist
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC
from omma.space import Space
from omma.telemetry.context import bind_request_id
from omma.telemetry.metrics import INDEXED_PICTURES, INDEXER_BATCH_SECONDS, INDEXER_FULL, INDEXER_HELD
from omma.telemetry.traces import span
from services.egs.client import Embedder
from services.indexer.commit import Committer, Resolved
from services.indexer.deaths import Deaths
from services.indexer.plan import decode, plan
from services.indexer.settings import IndexerSettings
from services.indexer.sources import VectorSources
from services.nn_shard.client import ShardClient

T = TypeVar("T")

logger = logging.getLogger(__name__)

_FULL_POLL_SECONDS: Final = 1.0
"""While nothing is taken the group still hears from this member, and learns who has which partition."""


OnHeld = Callable[[bool], Awaitable[None]]


async def _ignore(held: bool) -> None:
    """Nobody asked."""


async def ensure_topics(log: Log, space: Space) -> None:
    """The topics that the indexer writes. Raises WrongState when one exists with other partitions or compaction."""
    await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    await log.ensure_topic(TopicSpec(DEAD_LETTERS_TOPIC, 1, compacted=True))


@dataclass(frozen=True, slots=True)
class _Taken:
    """A batch as it came, with what its partitions were held with then."""

    records: Sequence[LogRecord]
    claims: Mapping[int, Producer]


class Indexer:
    """Takes events in batches, resolves several batches at once, and commits them in the order of the log.

    A lone event is taken at once; under load, batches grow by themselves while earlier ones are under way. As many as
    may be under way: its partitions pause, so a slow embedder or catalog costs time and no memory.
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
        limits: PictureLimits = DEFAULT_LIMITS,
        on_held: OnHeld = _ignore,
    ) -> None:
        """shards: one client a shard of an index of the space, in order; vectors are copied from them.

        on_held: told when the indexer stops as too many pictures die of one fault, and when it goes on.
        """
        self._catalog = catalog
        self._log = log
        self._space = embedder.space
        self._settings = settings
        self._on_held = on_held
        self._deaths = Deaths(settings.deaths_window, settings.deaths_share, settings.deaths_pause_seconds)
        self._room = asyncio.Event()
        self._sources = VectorSources(
            catalog=catalog,
            blobs=blobs,
            originals=originals,
            embedder=embedder,
            shards=shards,
            settings=settings,
            limits=limits,
        )

    async def run(self) -> None:
        """Until cancelled; what was not committed is taken again by the next run. Raises ProducerFenced."""
        group = indexer_group(self._space.id)
        await ensure_topics(self._log, self._space)
        committer = Committer(self._catalog, self._log, self._space, group)
        consumer = await self._log.subscribe(IMAGES_TOPIC, group, committer.claim)
        batches: _Batches = asyncio.Queue(self._settings.batches_in_flight - 1)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._take(consumer, committer, batches, tasks))
                tasks.create_task(self._commit(consumer, committer, batches))
        except* ProducerFenced as group_of_errors:
            raise group_of_errors.exceptions[0] from None
        finally:
            await consumer.close()
            await committer.close()

    async def _take(
        self, consumer: Consumer, committer: Committer, batches: "_Batches", tasks: asyncio.TaskGroup
    ) -> None:
        poll = partial(self._poll, consumer, batches)
        while True:
            records = await self._persist("poll", poll)
            if records:
                taken = _Taken(records, committer.claims({record.partition for record in records}))
                await batches.put((taken, tasks.create_task(self._resolve_surely(taken))))

    async def _poll(self, consumer: Consumer, batches: "_Batches") -> list[LogRecord]:
        """The next records. While there is no room for them the partitions are paused, and the group is kept."""
        if batches.full():
            INDEXER_FULL.set(1)
            while batches.full():
                consumer.pause(consumer.assignment())
                if await self._room_within(_FULL_POLL_SECONDS):
                    break
                # Partitions that came just now are not paused yet.
                if records := await consumer.poll(self._settings.batch_pictures, 0):
                    return records
            INDEXER_FULL.set(0)
            consumer.resume(consumer.assignment())
        return await consumer.poll(self._settings.batch_pictures, self._settings.poll_seconds)

    async def _room_within(self, seconds: float) -> bool:
        self._room.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    async def _commit(self, consumer: Consumer, committer: Committer, batches: "_Batches") -> None:
        while True:
            taken, resolving = await batches.get()
            self._room.set()
            batch = await self._survivors(taken, await resolving)
            with INDEXER_BATCH_SECONDS.time(), span("index_commit"):
                await self._persist("commit", partial(committer.commit, batch, consumer.assignment))

    async def _survivors(self, taken: _Taken, batch: Resolved) -> Resolved:
        """The batch as it is to be written: once more resolved, after a pause, if it is one of too many that die."""
        kind = self._deaths.excess(batch.fates())
        if kind is None:
            self._deaths.calm()
        else:
            await self._hold(kind)
            batch = await self._resolve_surely(taken)
        self._deaths.note(batch.fates())
        return batch

    async def _hold(self, kind: Kind) -> None:
        seconds = self._deaths.next_pause_seconds()
        logger.error(
            "too many pictures die of one fault: nothing is indexed for a while",
            extra={"kind": kind, "pause_seconds": seconds},
        )
        INDEXER_HELD.set(1)
        await self._on_held(True)
        try:
            await asyncio.sleep(seconds)
        finally:
            INDEXER_HELD.set(0)
            await self._on_held(False)

    async def _resolve_surely(self, taken: _Taken) -> Resolved:
        return await self._persist("resolve", partial(self._resolve, taken))

    async def _resolve(self, taken: _Taken) -> Resolved:
        records = taken.records
        events, unreadable = decode(records)
        rows = await self._catalog.pictures({event.image_id for _, event in events})
        batch = plan(events, rows, unreadable)
        INDEXED_PICTURES.labels("stale").inc(len(events) - len(batch.living) - len(batch.deleted))
        if len(events) == 1:
            bind_request_id(events[0][1].request_id)
        with span("index_resolve"):
            outcomes = await self._sources.find(batch.living, batch.unchanged_bytes) if batch.living else {}
        next_offsets = {record.partition: record.offset + 1 for record in records}
        return Resolved(batch, outcomes, next_offsets, taken.claims)

    async def _persist(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        return await persist(what, attempt, self._settings.retry_seconds)


_Batches = asyncio.Queue[tuple[_Taken, asyncio.Task[Resolved]]]

"""The indexer of one space: from `omma.images` to `omma.vectors.<space>`.

    poll ─▶ deletes ──────────────────────────────────────────────▶ commit
         └▶ look: vectors that are known already ─────────────────▶
                └▶ waiting, in turns by source ─▶ embed ──────────▶

What embeds nothing never waits behind what must be embedded (docs/adr/0014). Each part below is a task.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from omma.backlog import indexer_group
from omma.blobs.interface import Blobs
from omma.blobs.originals import Originals
from omma.catalog.interface import Catalog
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.log.interface import Consumer, Log, LogRecord, ProducerFenced, TopicPartition, TopicSpec
from omma.persistence import persist, until_there
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC
from omma.space import Space
from omma.telemetry.context import bind_request_id
from omma.telemetry.metrics import INDEXER_BATCH_SECONDS, INDEXER_FULL, INDEXER_WAITING
from omma.telemetry.traces import span
from omma.trained_on import encode_middles, trained_on_key
from services.egs.client import Embedder
from services.indexer.commit import Committer
from services.indexer.embedding import Embedding, OnHeld
from services.indexer.plan import Living, plan
from services.indexer.settings import IndexerSettings
from services.indexer.sources import StoredVectors, VectorSources
from services.indexer.taken import Settled, Taken, source_of
from services.indexer.waiting import Source, Waiting

T = TypeVar("T")

logger = logging.getLogger(__name__)

_FULL_POLL_SECONDS: Final = 1.0
"""While nothing is taken the group still hears from this member, and learns who has which partition."""
_TRAINED_ON_SECONDS: Final = 10.0
_LOOKS_AT_ONCE: Final = 4
_SETTLED_AT_ONCE: Final = 1_024
"""Records of one commit: what came while the last one was written shares the next."""


async def ignore(held: bool) -> None:
    """Nobody asked."""


async def ensure_topics(log: Log, space: Space) -> None:
    """The topics that the indexer writes. Raises WrongState when one exists with other partitions or compaction."""
    await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    await log.ensure_topic(TopicSpec(DEAD_LETTERS_TOPIC, 1, compacted=True))


class Indexer:
    """Takes events as they come, settles each when it can be, and commits the offsets of those that all are.

    A lone event is taken at once; under load, batches grow by themselves while earlier ones are under way. Of what
    waits for the embedder only the events are held, so many at most: then its partitions pause.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        log: Log,
        blobs: Blobs,
        originals: Originals,
        embedder: Embedder,
        shards: Sequence[StoredVectors],
        settings: IndexerSettings,
        limits: PictureLimits = DEFAULT_LIMITS,
        on_held: OnHeld = ignore,
    ) -> None:
        """shards: of an index of the space, in order; vectors are copied from them.

        on_held: told when the indexer holds a place back as too many of its pictures die of one fault, and when it
        goes on.
        """
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
            limits=limits,
        )
        self._blobs = blobs
        self._embedder = embedder
        self._on_held = on_held

    async def run(self) -> None:
        """Until cancelled; what was not committed is taken again by the next run. Its topics are waited for. What the
        model was trained on is kept beside, for whoever has the blobs and no model.

        Raises ProducerFenced.
        """
        group = indexer_group(self._space.id)
        # Brokers that are busy make a topic and name no leaders of it in time.
        await until_there("Kafka", partial(ensure_topics, self._log, self._space))
        committer = Committer(self._catalog, self._log, self._space, group)
        consumer = await until_there("Kafka", partial(self._log.subscribe, IMAGES_TOPIC, group, committer.claim))
        run = _Run(self._catalog, self._sources, self._settings, consumer, committer, on_held=self._on_held)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(persist("keep what was trained on", self._keep_trained_on, _TRAINED_ON_SECONDS))
                tasks.create_task(run.take())
                tasks.create_task(run.sort(tasks))
                tasks.create_task(run.commit())
                for _ in range(self._settings.batches_in_flight):
                    tasks.create_task(run.embedding.run())
        except* ProducerFenced as group_of_errors:
            raise group_of_errors.exceptions[0] from None
        finally:
            await consumer.close()
            await committer.close()

    async def _keep_trained_on(self) -> None:
        middles = await self._embedder.trained_on()
        if middles is not None:
            await self._blobs.put(trained_on_key(self._space.id), encode_middles(middles))


class _Run:
    """From one subscription to its end."""

    def __init__(
        self,
        catalog: Catalog,
        sources: VectorSources,
        settings: IndexerSettings,
        consumer: Consumer,
        committer: Committer,
        *,
        on_held: OnHeld,
    ) -> None:
        self._catalog = catalog
        self._sources = sources
        self._settings = settings
        self._consumer = consumer
        self._committer = committer
        self._waiting = Waiting(settings.retry_seconds)
        self._taken: asyncio.Queue[Sequence[Taken]] = asyncio.Queue(settings.batches_in_flight)
        self._settled: asyncio.Queue[Sequence[Settled]] = asyncio.Queue(settings.batches_in_flight)
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._room = asyncio.Event()
        self.embedding = Embedding(
            catalog,
            sources,
            settings,
            waiting=self._waiting,
            settle=self._settle,
            is_mine=self._is_mine,
            on_held=on_held,
        )

    async def take(self) -> None:
        while True:
            records = await self._persist("poll", self._poll)
            if records:
                await self._taken.put(self._committer.take(records))
            INDEXER_WAITING.set(len(self._waiting))

    async def sort(self, tasks: asyncio.TaskGroup) -> None:
        """In the order of the log, so that the newest event of a picture is known as that."""
        while True:
            taken = await self._taken.get()
            self._room.set()
            ids = {one.event.image_id for one in taken if one.event is not None}
            rows = await self._persist("rows", partial(self._catalog.pictures, ids))
            made = plan(taken, rows, self._sources.space)
            overtaken = [self._waiting.forget(one.row.id) for one in made.settled if one.row is not None]
            overtaken += [self._waiting.know(one.taken, one.row.id) for one in made.living]
            settled = [*made.settled, *(Settled(one) for one in overtaken if one is not None)]
            if settled:
                await self._settled.put(settled)
            if living := [one for one in made.living if not one.taken.overtaken]:
                await self._looks.acquire()
                tasks.create_task(self._look(living)).add_done_callback(self._looked)

    async def commit(self) -> None:
        while True:
            batch = list(await self._settled.get())
            while len(batch) < _SETTLED_AT_ONCE and not self._settled.empty():
                batch += self._settled.get_nowait()
            with INDEXER_BATCH_SECONDS.time(), span("index_commit"):
                await self._persist("commit", partial(self._committer.commit, batch, self._consumer.assignment))

    async def _look(self, living: Sequence[Living]) -> None:
        if len(living) == 1 and (event := living[0].taken.event) is not None:
            bind_request_id(event.request_id)
        unchanged = {one.row.id for one in living if one.unchanged_bytes}
        known = await self._persist("look", partial(self._sources.known, [one.row for one in living], unchanged))
        settled = []
        for one in living:
            if one.row.sha256 in known:
                settled.append(Settled(one.taken, one.row, known[one.row.sha256]))
            else:
                self._waiting.put(Source(one.row.tenant, source_of(one.row)), one.taken)
        await self._settle(settled)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looks.release()

    def _is_mine(self, taken: Taken) -> bool:
        at = TopicPartition(taken.record.topic, taken.record.partition)
        return at in self._consumer.assignment() and self._committer.holds(taken)

    async def _settle(self, settled: Sequence[Settled]) -> None:
        """They need no more turns; written by `commit`."""
        for one in settled:
            self._waiting.settled(one.taken)
        if settled:
            await self._settled.put(settled)
        self._room.set()

    async def _poll(self) -> list[LogRecord]:
        """The next records. While there is no room for them the partitions are paused, and the group is kept."""
        consumer = self._consumer
        if self._full():
            INDEXER_FULL.set(1)
            while self._full():
                consumer.pause(consumer.assignment())
                if await self._room_within(_FULL_POLL_SECONDS):
                    break
                # Partitions that came just now are not paused yet.
                if records := await consumer.poll(self._settings.batch_pictures, 0):
                    return records
            INDEXER_FULL.set(0)
            consumer.resume(consumer.assignment())
        return await consumer.poll(self._settings.batch_pictures, self._settings.poll_seconds)

    def _full(self) -> bool:
        return len(self._waiting) >= self._settings.waiting_pictures or self._taken.full()

    async def _room_within(self, seconds: float) -> bool:
        self._room.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return not self._full()

    async def _persist(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        return await persist(what, attempt, self._settings.retry_seconds)

"""One replica of one shard: it follows its buckets of the log into an engine, and owes its state to nothing else."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from omma.errors import ReplicaDown
from omma.identity import Tenant
from omma.index import IndexId
from omma.log.interface import Consumer, Log, LogRecord, OffsetOutOfRange, TopicPartition, TopicSpec
from omma.space import Space
from omma.telemetry.context import run_in
from services.nn_shard.checkpoint import Source, Stamp
from services.nn_shard.engine import Codebook, Engine
from services.nn_shard.engine.engine import Cut
from services.nn_shard.freshness import Freshness
from services.nn_shard.health import Health
from services.nn_shard.intake import Intake
from services.nn_shard.opening import Opened, Opening
from services.nn_shard.receipts import ReceiptGate
from services.nn_shard.settings import ShardSettings
from services.nn_shard.snapshot import Snapshots
from services.nn_shard.supervision import SOON_SECONDS, kept_going

T = TypeVar("T")

logger = logging.getLogger(__name__)


class AnotherLog(Exception):
    """What is read now is not what was read so far, even where its offsets go on."""


class Replica:
    """Between `load` and the end of `follow` it has an engine; it is ready once it has caught up with the log's end.

    writer: an executor of one thread; everything that changes the engine's head runs there, so that a cut and its
    offsets agree. maintenance: two executors of one thread; what touches files runs there. Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        folder: Path,
        space: Space,
        index: IndexId,
        log: Log,
        settings: ShardSettings,
        writer: Executor,
        maintenance: tuple[Executor, Executor],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.space = space
        self.index = index
        self.receipts = ReceiptGate(self._version_of, self._owns)
        self._now = now
        self._freshness = Freshness(settings.stale_seconds, now)
        self._folder = folder
        self._log = log
        self._intake = Intake(space, "shard")
        self._settings = settings
        self._writer = writer
        self._maintenance = maintenance
        self._engine: Engine | None = None
        self._source: Source | None = None
        self._next_offsets: Mapping[int, int] = {}
        self._applied = 0
        self._is_another_log = False
        self._health = Health()
        self._maintained = asyncio.Event()

    @property
    def engine(self) -> Engine | None:
        """None until it is loaded. Another one after the log had to be replayed."""
        return self._engine

    def loaded(self) -> Engine:
        """The engine; raises ReplicaDown while there is none."""
        if self._engine is None:
            raise ReplicaDown(f"This replica of {self.index} is still loading.")
        return self._engine

    @property
    def folder(self) -> Path:
        """The engine's files."""
        return self._folder

    @property
    def ready(self) -> bool:
        """Loaded, stamped, and caught up with where the log ended when following began.

        It stays so while the replica falls behind: every replica does when the log is gone, and searches go on.
        """
        return self._health.ready

    @property
    def healthy(self) -> bool:
        """Ready, and gets on: what a readiness probe asks.

        It does not when reading, or the sealing that reading waits for, failed again and again of what is no matter of
        log or disk; it answers all the same.
        """
        return self._health.healthy

    @property
    def stale(self) -> bool:
        """Not known to hold what the log had stale_seconds ago: it answers, and its answers say so."""
        return self.ready and self._freshness.stale

    @property
    def age_seconds(self) -> float:
        """How old the newest moment is up to which everything is known to be applied."""
        return self._freshness.age_seconds

    @property
    def next_offsets(self) -> Mapping[int, int]:
        """By owned bucket, the first record that is not applied."""
        return self._next_offsets

    @property
    def applied(self) -> int:
        """Sum of the next offsets: it never falls while the replica serves, and tells replicas of a shard apart."""
        return self._applied

    async def until_ready(self, ready: bool = True) -> None:
        """Wait until `ready` is so."""
        await self._health.until_ready(ready)

    async def until_healthy(self, healthy: bool = True) -> None:
        """Wait until `healthy` is so."""
        await self._health.until_healthy(healthy)

    async def load(self, shard: int, shards: int, codebook: Codebook | None, snapshots: Snapshots) -> None:
        """Open the engine; makes the topic when it is not there. Raises what the log and the files raise."""
        topic = TopicSpec(self.space.vectors_topic, self.space.buckets, compacted=True)
        await self._log.ensure_topic(topic)
        source = Source.of(await self._log.identity(topic.name), self.space, shard, shards)
        opened = await (await self._opening(codebook, source)).open(
            snapshots,
            self._writer,
            # Not on the niced thread: nobody is served yet, and under load it waits for everyone.
        )
        self._replace(opened, source)

    async def follow(self) -> None:
        """Apply what the log brings, until cancelled, whatever fails: what does is tried again.

        A log that cannot go on from here is replayed from its beginning, and the replica is not ready meanwhile.
        """
        await kept_going(
            "reading",
            self.index,
            self._follow_or_start_over,
            self._settings.log_retry_seconds,
            longest_wait_seconds=SOON_SECONDS,
            failed=partial(self.failed, "reading"),
        )

    async def lag(self) -> int:
        """Records that the log has and this replica has not applied: also what `stale` is told by.

        On Kafka up to two more a partition than there are, since a transaction's marker has an offset too. Raises
        OmmaError, or TimeoutError after log_timeout_seconds.
        """
        end = await self._look_at_end()
        self._freshness.applied(self._next_offsets)
        return sum(max(0, end.get(bucket, 0) - offset) for bucket, offset in self._next_offsets.items())

    async def cut(self) -> tuple[Engine, Cut, Stamp]:
        """The engine's state and the offsets that it stands for, of one moment. Only after `load`."""
        return await run_in(self._writer, self._cut)

    async def adopt_codebook(self, codebook: Codebook) -> None:
        """Raises WrongState when the engine has another one."""
        await run_in(self._writer, self.loaded().adopt_codebook, codebook)

    def maintained(self) -> None:
        """A round of sealing and merging has ended: applying that waits for it goes on."""
        self._maintained.set()
        self._health.succeeded("sealing")

    def failed(self, part: str, reason: str) -> None:
        """Reading or sealing failed. Of a bug again and again: the replica is not healthy until it succeeds."""
        self._health.failed(part, reason)

    async def _follow_or_start_over(self) -> None:
        while True:
            try:
                await self._follow()
            except (OffsetOutOfRange, AnotherLog) as error:
                logger.warning("Replaying %s from its beginning: %s", self.space.vectors_topic, error)
                await self._start_over()

    async def _follow(self) -> None:
        topic = self.space.vectors_topic
        await self._look_at_end()
        consumer = await self._log.assign({TopicPartition(topic, b): o for b, o in self._next_offsets.items()})
        reading = asyncio.create_task(self._read(consumer))
        try:
            while True:
                if self._is_another_log:
                    raise AnotherLog("The topic was deleted and made again.")
                if self._freshness.applied(self._next_offsets) and not self.ready:
                    self._set_ready(True)
                records, positions = await reading
                reading = asyncio.create_task(self._read(consumer))  # the next ones, while these are applied
                if records or positions != self._next_offsets:
                    await run_in(self._writer, self._apply, records, positions)
                    self.receipts.applied()
                    await self._let_sealing_catch_up()
                self._health.succeeded("reading")
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._close(consumer)

    async def _read(self, consumer: Consumer) -> tuple[Sequence[LogRecord], Mapping[int, int]]:
        """The next records, none after a while, and the offsets by bucket that come after them."""
        settings = self._settings
        # A poll that outlives its own bound hangs: another consumer is made then.
        async with asyncio.timeout(settings.poll_seconds + settings.log_timeout_seconds):
            records = await consumer.poll(settings.poll_records, settings.poll_seconds)
        # Not the last record's offset: what compaction left out behind it is read as well.
        return records, {at.partition: consumer.position(at) for at in consumer.assignment()}

    async def _close(self, consumer: Consumer) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.log_timeout_seconds):
                await consumer.close()

    async def _look_at_end(self) -> Mapping[int, int]:
        asked_at = self._now()
        async with asyncio.timeout(self._settings.log_timeout_seconds):
            identity = await self._log.identity(self.space.vectors_topic)
            end = await self._log.end_offsets(self.space.vectors_topic)
        self._is_another_log = identity != self._known_source().log
        if not self._is_another_log:
            self._freshness.log_ended_at(end, asked_at)
        return end

    async def _let_sealing_catch_up(self) -> None:
        """The head's bound: while the disk is too slow, or full, nothing more is read."""
        settings = self._settings
        while self.loaded().counts().head_rows > settings.max_head_segments * settings.engine.seal_rows:
            self._health.waits_for_sealing = True
            self._maintained.clear()
            await self._maintained.wait()
        if self._health.waits_for_sealing:
            self._health.waits_for_sealing = False

    async def _start_over(self) -> None:
        self._set_ready(False)
        # The topic may have been made again.
        source = replace(self._known_source(), log=await self._log.identity(self.space.vectors_topic))
        opening = await self._opening(self.loaded().codebook, source)
        self.loaded().retire()
        opened = await self._alone_with_files(opening.open_empty)
        # With the engine and not before: what fails on the way is tried again from what was.
        await run_in(self._writer, self._replace, opened, source)
        self._freshness.start_over()  # and not before: what was covered was so by the engine that is gone

    async def _alone_with_files(self, work: Callable[[], T]) -> T:
        """On the one thread that touches files, while the other waits for it."""
        first, second = self._maintenance
        return await run_in(first, lambda: second.submit(work).result())

    async def _opening(self, codebook: Codebook | None, source: Source) -> Opening:
        topic = self.space.vectors_topic
        return Opening(
            folder=self._folder,
            space=self.space,
            index=self.index,
            settings=self._settings.engine,
            codebook=codebook,
            source=source,
            beginning=await self._log.beginning_offsets(topic),
            end=await self._log.end_offsets(topic),
        )

    def _set_ready(self, ready: bool) -> None:
        self._health.ready = ready
        if ready:
            logger.info("Shard of %s is ready", self.index, extra={"pictures": self.loaded().counts().pictures})

    def _apply(self, records: Sequence[LogRecord], positions: Mapping[int, int]) -> None:
        self.loaded().take_in(self._intake.take(records))
        self._move_to(positions)

    def _cut(self) -> tuple[Engine, Cut, Stamp]:
        engine = self.loaded()
        return engine, engine.freeze(), Stamp(self._known_source(), dict(self._next_offsets))

    def _replace(self, opened: Opened, source: Source) -> None:
        self._engine, self._source = opened.engine, source
        self._move_to(opened.next_offsets)

    def _move_to(self, next_offsets: Mapping[int, int]) -> None:
        self._next_offsets, self._applied = next_offsets, sum(next_offsets.values())

    def _known_source(self) -> Source:
        if self._source is None:
            raise ReplicaDown(f"This replica of {self.index} is still loading.")
        return self._source

    def _version_of(self, image_id: int, tenant: Tenant) -> int | None:
        return self.loaded().version_of(image_id, tenant)

    def _owns(self, image_id: int) -> bool:
        return self._known_source().owns(image_id)

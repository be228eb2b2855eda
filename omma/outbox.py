"""The row is the outbox: the events of changed rows go to `omma.images`, and what was never sent is sent again."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureState, Upserted
from omma.gathered import Gathered
from omma.log.interface import Log, Producer, TopicSpec
from omma.records import IMAGES_TOPIC, ImageEvent, image_key
from omma.telemetry.metrics import OUTBOX_OLDEST_AT

IMAGES_PARTITIONS: Final = 8
"""Of a new `omma.images`; an existing topic keeps its own. The indexer has one transactional producer a partition."""

_RESEND_BATCH: Final = 1_000
_RETOLD_AT_ONCE: Final = 100
_OFFER_SECONDS: Final = 1.0
"""How long a caller's answer waits for its event, whose row is durable already."""
_PROBE_SECONDS: Final = 1.0
_MARKED_AT_ONCE: Final = 64
"""Callers whose rows one transaction marks."""
_WITH_VECTORS: Final = (PictureState.PENDING, PictureState.INDEXED)
"""Or that wait for them."""

logger = logging.getLogger(__name__)


class Outbox:
    """Sends events, then marks their rows; a crash between the two sends twice, and the second one changes nothing."""

    def __init__(
        self, catalog: Catalog, producer: Producer, partitions: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        """partitions: what `omma.images` has."""
        self._catalog = catalog
        self._producer = producer
        self._partitions = partitions
        self._now = now
        self._away = False
        self._probe: asyncio.Task[None] | None = None
        self._probed_at = 0.0
        self._marks: Gathered[None, Sequence[ImageEvent], None] = Gathered(self._mark, most=_MARKED_AT_ONCE)

    async def send(self, changes: Sequence[Upserted]) -> None:
        """The events of these changes are durable in the log when it returns. None to send: returns at once."""
        await self._send([change.event for change in changes if change.event is not None])

    async def offer(self, changes: Sequence[Upserted], within_seconds: float = _OFFER_SECONDS) -> None:
        """Send what can be sent soon; the relay sends the rest from its rows. Raises nothing.

        The first who finds the log away waits for `within_seconds`, and nobody after that: one probe a second, beside
        the callers, finds out when it is back.
        """
        if self._away:
            self._probe_with(changes)
            return
        try:
            async with asyncio.timeout(within_seconds):
                await self.send(changes)
        except Exception as error:  # noqa: BLE001  whatever it is, the rows hold it
            self._missed(changes, error)

    def _probe_with(self, changes: Sequence[Upserted]) -> None:
        if self._probe is None and self._now() - self._probed_at >= _PROBE_SECONDS:
            self._probe = asyncio.create_task(self._find_out(changes), name="outbox-probe")

    async def _find_out(self, changes: Sequence[Upserted]) -> None:
        try:
            await self.send(changes)
            self._away = False
        except Exception as error:  # noqa: BLE001
            self._missed(changes, error)
        finally:
            self._probe = None

    def _missed(self, changes: Sequence[Upserted], error: Exception) -> None:
        self._away, self._probed_at = True, self._now()
        ids = [change.id for change in changes]
        logger.warning("events stay in the outbox", extra={"image_ids": ids, "reason": repr(error)})

    async def send_unsent(self) -> int:
        """Send every event that a crash held back; returns how many. Oldest first, so versions keep their order."""
        OUTBOX_OLDEST_AT.set(await self._catalog.unsent_since() or 0)
        sent = 0
        while events := await self._catalog.unsent(_RESEND_BATCH):
            await self._send(events)
            sent += len(events)
        OUTBOX_OLDEST_AT.set(0)
        return sent

    async def retell(self) -> int:
        """Some of the pictures whose events an older version's `omma.images` forgot are unsent again, so few that new
        ones hardly wait behind them; returns how many were looked at, 0 once there are no more.
        """
        return await self._catalog.retell(_RETOLD_AT_ONCE)

    async def _send(self, events: Sequence[ImageEvent]) -> None:
        if not events:
            return
        records = [(bucket_of(e.image_id, self._partitions), image_key(e.image_id), e.encode()) for e in events]
        await self._producer.send_many(IMAGES_TOPIC, records)
        await self._marks.ask(None, events)

    async def _mark(self, _: None, sent: Sequence[Sequence[ImageEvent]]) -> list[None]:
        await self._catalog.mark_sent([event for events in sent for event in events])
        return [None] * len(sent)


async def open_outbox(catalog: Catalog, log: Log, new_partitions: int = IMAGES_PARTITIONS) -> Outbox:
    """An outbox on the log's `omma.images`, as `ensure_images_topic` finds or makes it. A log that has nothing, of a
    catalog that has pictures, is told: it was lost.
    """
    if not await log.topics():
        counts = await catalog.counts()
        if any(counts[state] for state in _WITH_VECTORS):
            logger.error(
                "the log is new and the catalog is not: its pictures are found again once `omma verify --repair` has "
                "sent them to it"
            )
    spec = await ensure_images_topic(log, new_partitions)
    return Outbox(catalog, await log.producer(), spec.partitions)


async def ensure_images_topic(log: Log, new_partitions: int = IMAGES_PARTITIONS) -> TopicSpec:
    """`omma.images`, with the partitions that it has; made with `new_partitions` if it is absent.

    A new space reads it from its beginning, so it keeps the last event of each picture; one that an older version made
    forgot them after a week, and does so no more. Raises NotAllowed where Kafka lets us change no topic.
    """
    found = next((spec for spec in await log.topics() if spec.name == IMAGES_TOPIC), None)
    if found is None:
        found = TopicSpec(IMAGES_TOPIC, new_partitions, compacted=True)
        await log.ensure_topic(found)
    elif not found.compacted:
        await log.make_compacted(IMAGES_TOPIC)
    return replace(found, compacted=True)

"""What was shown and what was clicked: to the log, from where recording.py takes it. Never delays an answer."""

import asyncio
import logging
import random
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from omma.buckets import bucket_of
from omma.errors import InvalidQuery, OmmaError, Overloaded
from omma.identity import MAX_IMAGE_ID, ImageId, Tenant
from omma.log.interface import Log, Producer, TopicSpec
from omma.records import INTERACTIONS_TOPIC, Answered, Interaction, InteractionType, encode_interaction, image_key
from omma.telemetry.metrics import INTERACTIONS
from omma.telemetry.traces import traceparent
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.pseudonyms import KeptName, as_given
from services.gateway.search.query import MAX_USER_ID_CHARACTERS

_MAX_RANK: Final = 1_000_000
_MAX_QUERY_ID_CHARACTERS: Final = 128
_PARTITIONS: Final = 4
_BATCH: Final = 1_000
_CLICK_SECONDS: Final = 1.0
"""How long a click's answer waits for the log; then the click waits without it."""
_LAST_SECONDS: Final = 5.0
"""For what is left when the process ends."""
_RETRY_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Click:
    """query_image_id 0: the query was no stored picture. Ids are bounded, not looked up. Raises InvalidQuery."""

    user_id: str
    query_image_id: int
    displayed_image_id: int
    rank: int
    query_id: str = ""

    def __post_init__(self) -> None:
        _within("query_image_id", self.query_image_id, 0, MAX_IMAGE_ID)
        _within("displayed_image_id", self.displayed_image_id, 1, MAX_IMAGE_ID)
        _within("rank", self.rank, 0, _MAX_RANK)
        _within("user_id", len(self.user_id), 0, MAX_USER_ID_CHARACTERS)
        _within("query_id", len(self.query_id), 0, _MAX_QUERY_ID_CHARACTERS)
        if "\0" in self.query_id:  # kept without it, it would be another search's
            raise InvalidQuery("query_id holds a NUL.", field="query_id")


class Impressions:
    """A bounded queue between answers and the log. What does not fit is lost, and counted as lost.

    Clicks are rarer and worth more: while the log is away they are kept, as many, and tried again; one whose sending
    was cut off may come twice.
    """

    def __init__(
        self,
        producer: Producer,
        partitions: int,
        *,
        max_queued: int = 10_000,
        sampled: float = 1.0,
        linger_seconds: float = 0.2,
        kept_name: KeptName = as_given,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """partitions: what `omma.interactions` has. sampled: share of searches whose hits are recorded, 0 … 1.

        kept_name: what stands for a user.

        linger_seconds: how long the first in the queue waits for company, so that searches share a write.
        """
        self._producer = producer
        self._partitions = partitions
        self._max_queued = max_queued
        self._sampled = sampled
        self._linger_seconds = linger_seconds
        self._kept_name = kept_name
        self._now_ms = now_ms
        self._queue: deque[Interaction] = deque()
        self._clicks: deque[Interaction] = deque()
        self._queued = asyncio.Event()
        self._under_way = asyncio.Lock()

    def shown(
        self,
        tenant: Tenant,
        user_id: str,
        query_image_id: int,
        answer: SearchAnswer,
        *,
        caller: str = "",
        stage: int = 0,
    ) -> None:
        """Queue what the search showed, one record, also of nothing; returns at once.

        caller: who stays in the answer's arm, if any. stage: of the rollout, as Interaction has it.
        """
        if random.random() >= self._sampled:
            return
        if len(self._queue) >= self._max_queued:
            INTERACTIONS.labels(InteractionType.IMPRESSION.value, "dropped").inc()
            return
        user = self._kept_name(tenant, user_id)
        self._queue.append(
            Interaction(
                tenant,
                user,
                query_image_id,
                tuple(ImageId(hit.id) for hit in answer.hits),
                1 if answer.hits else 0,
                InteractionType.IMPRESSION,
                self._now_ms(),
                answer.query_id,
                _answered(answer),
                f"user {user}" if caller and user else caller,
                tuple(hit.origin.credited for hit in answer.hits if hit.origin is not None),
                traceparent(),
                stage,
            )
        )
        self._queued.set()

    async def clicked(self, tenant: Tenant, click: Click) -> None:
        """In the log when it returns, or after a second kept for it. Raises Overloaded when too many are kept."""
        one = Interaction(
            tenant,
            self._kept_name(tenant, click.user_id),
            click.query_image_id,
            (ImageId(click.displayed_image_id),),
            click.rank,
            InteractionType.CLICK,
            self._now_ms(),
            click.query_id,
        )
        if not self._clicks:
            try:
                async with asyncio.timeout(_CLICK_SECONDS):
                    await self._send_shown()
                    await self._send([one])
                return
            except (OmmaError, TimeoutError) as error:
                logger.warning("a click waits for the log", extra={"reason": repr(error)})
        if len(self._clicks) >= self._max_queued:
            raise Overloaded(f"{len(self._clicks)} clicks wait for the log.", retry_after_seconds=_RETRY_SECONDS)
        self._clicks.append(one)
        self._queued.set()

    async def run(self) -> None:
        """Move what is queued to the log until cancelled; then send what is left."""
        try:
            while True:
                await self._queued.wait()
                await asyncio.sleep(self._linger_seconds)
                self._queued.clear()
                await self._drain()
                if self._clicks:
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._queued.set()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._drain()

    async def _drain(self) -> None:
        await self._send_shown()
        await self._send_clicks()

    async def _send_shown(self) -> None:
        """All that is queued or under way: a click that overtook what was shown would count for no arm."""
        async with self._under_way:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                try:
                    await self._send(batch)
                except (Exception, asyncio.CancelledError) as error:
                    INTERACTIONS.labels(InteractionType.IMPRESSION.value, "dropped").inc(len(batch))
                    logger.warning("impressions were lost", extra={"count": len(batch), "reason": repr(error)})
                    # Impressions may be lost; the loop that moves them may not.
                    if isinstance(error, asyncio.CancelledError):
                        raise

    async def _send_clicks(self) -> None:
        while self._clicks:
            batch = [self._clicks[at] for at in range(min(_BATCH, len(self._clicks)))]
            try:
                await self._send(batch)
            except Exception as error:  # noqa: BLE001  the loop that moves them goes on
                logger.warning("clicks wait for the log", extra={"count": len(self._clicks), "reason": repr(error)})
                return
            for _ in batch:
                self._clicks.popleft()

    async def _send(self, batch: list[Interaction]) -> None:
        records = [
            (
                self._partition_of(one),
                image_key(one.displayed[0] if one.displayed else ImageId(0)),
                encode_interaction(one),
            )
            for one in batch
        ]
        await self._producer.send_many(INTERACTIONS_TOPIC, records)
        INTERACTIONS.labels(batch[0].type.value, "sent").inc(len(batch))

    def _partition_of(self, one: Interaction) -> int:
        """A search and its clicks in one, in order: whoever reads a click has read what was shown."""
        if one.query_id:
            return zlib.crc32(one.query_id.encode(errors="replace")) % self._partitions
        return bucket_of(one.displayed[0], self._partitions)


def _answered(answer: SearchAnswer) -> Answered:
    if answer.variant is None:
        return Answered(answer.index, answer.space, answer.policy)
    return Answered(answer.index, answer.space, answer.policy, answer.variant.rollout, answer.variant.arm.value)


async def open_impressions(
    log: Log,
    *,
    max_queued: int = 10_000,
    sampled: float = 1.0,
    kept_name: KeptName = as_given,
) -> Impressions:
    """Impressions on the log's `omma.interactions`, which is made if it is absent."""
    existing = {spec.name: spec for spec in await log.topics()}
    spec = existing.get(INTERACTIONS_TOPIC, TopicSpec(INTERACTIONS_TOPIC, _PARTITIONS))
    await log.ensure_topic(spec)
    return Impressions(
        await log.producer(), spec.partitions, max_queued=max_queued, sampled=sampled, kept_name=kept_name
    )


def _within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidQuery(f"{field} must be {low} to {high}.", field=field, limit=high if value > high else low)

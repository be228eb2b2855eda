"""Interactions from the log to the catalog: in batches, each once, for the days that are kept."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from google.protobuf.message import DecodeError

from omma.catalog.interface import Catalog
from omma.catalog.logged_interaction import LoggedInteraction
from omma.log.interface import Consumer, Log, LogRecord, TopicPartition
from omma.persistence import keep_running, persist
from omma.records import INTERACTIONS_TOPIC, Interaction, InteractionType, decode_interaction
from omma.telemetry.metrics import INTERACTIONS
from omma.telemetry.traces import continued, span

INTERACTIONS_GROUP: Final = "omma.interactions"
_BATCH: Final = 5_000
_POLL_SECONDS: Final = 1.0
_ROLL_SECONDS: Final = 3_600.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_MAX_PAUSE_SECONDS: Final = 30.0
_DAY_MS: Final = 86_400_000
_TEXTS: Final = ("tenant", "user_id", "query_id", "caller", "traceparent")
_ANSWERED: Final = ("index", "space", "policy", "rollout", "arm")
_MAX_BYTES: Final = dict.fromkeys((*_TEXTS, *_ANSWERED), 512) | {"user_id": 1_040, "caller": 1_040}
"""Of a text. A key of an index has up to 2,704 bytes in PostgreSQL: a caller and three others are together in one."""

logger = logging.getLogger(__name__)


async def record_interactions(
    log: Log,
    catalog: Catalog,
    *,
    kept_days: int = 90,
    linger_seconds: float = 1.0,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> None:
    """Until cancelled, also while the log or the catalog is away: what waits stays in the log, and nothing else stops.

    The catalog keeps the log's offsets in the transaction of the rows: a crash, a batch that comes twice and another
    consumer of the same partition leave each interaction there once.
    linger_seconds: how long the first of a batch waits for company. kept_days: older ones are dropped, by whole days.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_roll(catalog, kept_days))
        # Searches go on without; from the committed offsets it goes on later.
        record = partial(_record, log, catalog, kept_days, linger_seconds, now_ms)
        again = keep_running(
            "recording interactions", record, _FIRST_PAUSE_SECONDS, longest_wait_seconds=_MAX_PAUSE_SECONDS
        )
        group.create_task(again)


async def _roll(catalog: Catalog, kept_days: int) -> None:
    while True:
        # Days are made ahead: this may fail for a while.
        await persist("rolling interactions", partial(catalog.roll_interactions, kept_days), _MAX_PAUSE_SECONDS)
        await asyncio.sleep(random.uniform(0.5, 1.0) * _ROLL_SECONDS)


async def _record(log: Log, catalog: Catalog, kept_days: int, linger_seconds: float, now_ms: Callable[[], int]) -> None:
    consumer = await log.subscribe(INTERACTIONS_TOPIC, INTERACTIONS_GROUP)
    try:
        identity = await log.identity()
        while True:
            records = await _next_batch(consumer, linger_seconds)
            kept = _kept(records, kept_days, now_ms())
            with _spans(kept):
                await catalog.add_interactions(identity, kept)
            await consumer.commit(
                {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
            )
            for type, count in Counter(one.interaction.type for one in kept).items():
                INTERACTIONS.labels(type.value, "recorded").inc(count)
    finally:
        await consumer.close()


async def _next_batch(consumer: Consumer, linger_seconds: float) -> list[LogRecord]:
    """At least one record; as many as come while the first one waits."""
    records: list[LogRecord] = []
    while not records:
        records = await consumer.poll(_BATCH, _POLL_SECONDS)
    loop = asyncio.get_running_loop()
    until = loop.time() + linger_seconds
    while len(records) < _BATCH and (left := until - loop.time()) > 0:
        records += await consumer.poll(_BATCH - len(records), left)
    return records


def _kept(records: Sequence[LogRecord], kept_days: int, now_ms: int) -> list[LoggedInteraction]:
    """What is one and lies in the days that are kept; the rest is counted as lost."""
    kept = []
    for record in records:
        try:
            one = _as_rows_have_it(decode_interaction(record.value or b""))
        except (ValueError, DecodeError) as error:
            INTERACTIONS.labels("unknown", "unreadable").inc()
            logger.warning("an interaction is passed over", extra={"at": record.place, "reason": str(error)})
            continue
        if not now_ms - kept_days * _DAY_MS <= one.ts_ms <= now_ms + _DAY_MS:
            INTERACTIONS.labels(one.type.value, "expired").inc()
            continue
        kept.append(LoggedInteraction(record.partition, record.offset, one))
    return kept


@contextmanager
def _spans(kept: Sequence[LoggedInteraction]) -> Iterator[None]:
    """One for each search that is traced, below its own."""
    with ExitStack() as spans:
        for parent in {one.interaction.traceparent for one in kept} - {""}:
            spans.enter_context(continued(parent))
            spans.enter_context(span("record"))
        yield


def _as_rows_have_it(one: Interaction) -> Interaction:
    """Raises ValueError for what no row can say: it would keep all that come after it from the catalog."""
    if one.type is InteractionType.CLICK and not one.displayed:
        raise ValueError("it is a click on no picture")
    texts = {name: getattr(one, name) for name in _TEXTS} | {name: getattr(one.answered, name) for name in _ANSWERED}
    for name, text in texts.items():
        if len(text.encode()) > _MAX_BYTES[name]:
            raise ValueError(f"its {name} has more than {_MAX_BYTES[name]} bytes")
    # PostgreSQL keeps no NUL in a text: https://www.postgresql.org/docs/15/datatype-character.html
    plain = {name: text.replace("\0", "") for name, text in texts.items() if "\0" in text}
    if not plain:
        return one
    answered = replace(one.answered, **{name: plain[name] for name in _ANSWERED if name in plain})
    return replace(one, answered=answered, **{name: plain[name] for name in _TEXTS if name in plain})

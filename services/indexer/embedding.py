"""Pictures whose turn it is are embedded, die of their own fault, or get another turn."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture
from omma.description import readable
from omma.errors import Kind, OmmaError
from omma.identity import ImageId, Version
from omma.persistence import Pauses, persist
from omma.telemetry.metrics import INDEXER_HELD, INDEXER_PUT_OFF
from omma.telemetry.traces import span
from services.indexer.deaths import Deaths, DeathsByPlace, fate_of
from services.indexer.plan import plan
from services.indexer.settings import IndexerSettings
from services.indexer.sources import Dead, Later, Outcome, Seen, VectorSources
from services.indexer.taken import Settled, Taken
from services.indexer.waiting import Source, Waiting

OnHeld = Callable[[bool], Awaitable[None]]
Settle = Callable[[Sequence[Settled]], Awaitable[None]]

logger = logging.getLogger(__name__)

_PLACES: Final = 1_000


class Embedding:
    """Several run at once, each with a batch of its own."""

    def __init__(
        self,
        catalog: Catalog,
        sources: VectorSources,
        settings: IndexerSettings,
        *,
        waiting: Waiting,
        settle: Settle,
        is_mine: Callable[[Taken], bool],
        on_held: OnHeld,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """settle: takes what needs no more turns. is_mine: whether its partition is still this indexer's."""
        self._catalog = catalog
        self._sources = sources
        self._settings = settings
        self._waiting = waiting
        self._settle = settle
        self._is_mine = is_mine
        self._on_held = on_held
        self._now = now
        self._deaths = DeathsByPlace(
            lambda: Deaths(settings.deaths_window, settings.deaths_share, settings.deaths_pause_seconds)
        )
        self._held: set[str] = set()
        self._read_at: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled. While the embedder or the storage is away, one try a pause, which grows to ten seconds."""
        pauses = Pauses(self._settings.retry_seconds)
        while True:
            turn = await self._waiting.turn(self._settings.batch_pictures)
            await self._go_on()
            if await self._embed({taken: source for source, taken in turn if self._keeps(taken)}):
                pauses.begin_again()
            else:
                await asyncio.sleep(pauses.next_seconds())

    def _keeps(self, taken: Taken) -> bool:
        """What another indexer has now is no longer ours: it reads it again."""
        if self._is_mine(taken):
            return True
        self._waiting.settled(taken)
        return False

    async def _embed(self, turn: Mapping[Taken, Source]) -> bool:
        """Whether what it needs was there."""
        if not turn:
            return True
        ids = {one.event.image_id for one in turn if one.event is not None}
        rows = await persist("rows", partial(self._catalog.pictures, ids), self._settings.retry_seconds)
        made = plan(list(turn), rows, self._sources.space)
        await self._settle(made.settled)
        if not made.living:
            return True
        with span("index_embed"):
            embed = partial(self._sources.embed, [one.row for one in made.living])
            outcomes = await persist("embed", embed, self._settings.retry_seconds)
        by_place: dict[str, list[_Found]] = defaultdict(list)
        for one in made.living:
            source = turn[one.taken]
            by_place[source.place].append(_Found(source, one.taken, one.row, outcomes[one.row.sha256]))
        for place, found in by_place.items():
            await self._judge(place, found)
        return not any(isinstance(outcome, Later) and not outcome.reading for outcome in outcomes.values())

    async def _judge(self, place: str, found: "Sequence[_Found]") -> None:
        """found: of one place."""
        final = [one for one in found if not isinstance(one.outcome, Later)]
        if any(not (isinstance(one.outcome, Dead) and one.outcome.reading) for one in final):
            self._note_read(place)
        if final and await self._may_die(place, [one.outcome for one in final]):
            await self._settle([Settled(one.taken, one.row, _settled(one.outcome)) for one in final])
        else:
            for one in final:
                self._waiting.put_back(one.source, one.taken)
        for one in found:
            if isinstance(one.outcome, Later):
                await self._try_later(one, one.outcome)

    async def _try_later(self, one: "_Found", outcome: Later) -> None:
        reason = readable(outcome.error.detail)
        extra = {"image_id": one.row.id, "kind": outcome.error.kind, "reason": reason}
        if not self._is_hopeless(one, outcome):
            logger.warning("a picture waits for another turn", extra=extra)
            self._waiting.put_back(one.source, one.taken)
            return
        # Back to the outbox: its event comes again, and its offset holds nobody up until then.
        at: dict[ImageId, Version] = {one.row.id: one.row.version}
        postpone = partial(self._catalog.postpone, at, reason, self._settings.put_off_seconds)
        await persist("put off", postpone, self._settings.retry_seconds)
        logger.warning("a picture is put off", extra=extra)
        INDEXER_PUT_OFF.inc()
        await self._settle([Settled(one.taken)])

    def _is_hopeless(self, one: "_Found", outcome: Later) -> bool:
        """Whether this original alone cannot be had for long, though others of its place can."""
        since = one.taken.failing_since
        if since is None or not outcome.reading or self._now() - since < self._settings.patience_seconds:
            return False
        return self._read_at.get(one.source.place, since) > since

    async def _may_die(self, place: str, outcomes: Sequence[Outcome]) -> bool:
        """Whether these fates may be sealed; else the place is held for a while, and they are looked at again."""
        deaths = self._deaths.of(place)
        fates = [fate_of(place, outcome) for outcome in outcomes]
        kind = deaths.excess(fates)
        if kind is None:
            deaths.calm()
        elif self._waiting.is_held(place):
            return False  # another batch, which was under way when the place was held
        elif not deaths.take_leave_to_die():
            await self._hold(place, kind, deaths.next_pause_seconds())
            return False
        deaths.note(fates)
        return True

    async def _hold(self, place: str, kind: Kind, seconds: float) -> None:
        logger.error(
            "too many pictures die of one fault: none of their place is indexed for a while",
            extra={"place": place, "kind": kind, "pause_seconds": seconds},
        )
        self._waiting.hold(place, seconds)
        self._held.add(place)
        INDEXER_HELD.set(1)
        await self._on_held(True)

    async def _go_on(self) -> None:
        still = {place for place in self._held if self._waiting.is_held(place)}
        if self._held and not still:
            INDEXER_HELD.set(0)
            await self._on_held(False)
        self._held = still

    def _note_read(self, place: str) -> None:
        if len(self._read_at) >= _PLACES:
            self._read_at.clear()
        self._read_at[place] = self._now()


def _settled(outcome: Outcome) -> Seen | OmmaError | None:
    return outcome.error if isinstance(outcome, Dead) else outcome if isinstance(outcome, Seen) else None


@dataclass(frozen=True, slots=True)
class _Found:
    source: Source
    taken: Taken
    row: Picture
    outcome: Outcome

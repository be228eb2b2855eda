"""What the gateway stands on and does not see by answering: whether the towers are there, and writes get on."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from omma.backlog import goes_on_at, indexer_group
from omma.catalog.interface import Catalog
from omma.errors import OmmaError
from omma.log.interface import Log
from omma.records import IMAGES_TOPIC, ImageEvent
from services.topology.indexes import ServedIndexes

_LOOK_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 10.0
"""How long a write that was acknowledged may wait before answers say that they lack it."""
_ASK_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class Surroundings:
    """Looked at beside the searches: no answer waits for it, and when it cannot look it says what it last saw.

    towers_away: nothing can be embedded now: no uploads appear, and searches by picture or words are 503; by id or
    vector they are answered. behind: a write that was acknowledged a while ago is in no replica, and nothing gets on.
    """

    def __init__(
        self, catalog: Catalog, log: Log, indexes: ServedIndexes, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._indexes = indexes
        self._now = now
        self._unsent: tuple[ImageEvent, float] | None = None
        self._stuck: tuple[Mapping[int, int], float] | None = None
        self.towers_away = False

    @property
    def behind(self) -> bool:
        """Whether the oldest event that no log has, or the first that no indexer has handled, is the same for long."""
        since = [one[1] for one in (self._unsent, self._stuck) if one is not None]
        return bool(since) and self._now() - min(since) >= _PATIENCE_SECONDS

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Once. Raises nothing."""
        for part in (self._look_at_towers, self._look_at_outbox, self._look_at_log):
            try:
                async with asyncio.timeout(_ASK_SECONDS):
                    await part()
            except (OmmaError, OSError, TimeoutError) as error:
                logger.debug("it could not be looked at", extra={"part": part.__name__, "reason": repr(error)})

    async def _look_at_towers(self) -> None:
        away = not await self._indexes.live().embedder.ready()
        if away != self.towers_away:
            logger.warning("the towers are away" if away else "the towers are back")
        self.towers_away = away

    async def _look_at_outbox(self) -> None:
        oldest = next(iter(await self._catalog.unsent(1)), None)
        if oldest is None:
            self._unsent = None
        elif self._unsent is None or self._unsent[0] != oldest:
            self._unsent = (oldest, self._now())

    async def _look_at_log(self) -> None:
        ends = await self._log.end_offsets(IMAGES_TOPIC)
        reached = await goes_on_at(self._log, IMAGES_TOPIC, indexer_group(self._indexes.live_space()))
        waiting = {at: reached[at] for at, end in ends.items() if reached[at] < end}
        if not waiting:
            self._stuck = None
        elif self._stuck is None or not _any_stands(self._stuck[0], waiting):
            self._stuck = (waiting, self._now())


def _any_stands(before: Mapping[int, int], now: Mapping[int, int]) -> bool:
    return any(now.get(at) == offset for at, offset in before.items())

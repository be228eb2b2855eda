"""Each index's match_score, from its own pictures: found when there are enough, and again when there are others."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np

from omma.calibration import LEAST_PICTURES, MOST_PICTURES, match_score
from omma.catalog.interface import Catalog
from omma.hits import FetchedPicture
from omma.identity import ImageId, Tenant
from omma.index import IndexState
from omma.persistence import persist
from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from services.topology.indexes import PlacedIndex
from services.topology.stored import stored_pictures

LEASE: Final = "calibration"
_LEASES_LOOKS: Final = 2.5
"""A lease outlives so many looks; then another worker calibrates."""
_GROWN: Final = 0.1
"""Of the pictures that were there: fewer new ones do not move the score."""
_PLACES: Final = 8
_SECONDS: Final = 30.0
_ANSWERING: Final = frozenset({IndexState.LIVE, IndexState.CANARY})

logger = logging.getLogger(__name__)


class Calibrator:
    """One of many that may run; whoever has the lease calibrates."""

    def __init__(self, catalog: Catalog, placed: Callable[[str], PlacedIndex | None], every_seconds: float) -> None:
        """placed: where an index's shards are, None while they are nowhere."""
        self._catalog = catalog
        self._placed = placed
        self._every_seconds = every_seconds
        self._holder = uuid.uuid4().hex
        self._known: dict[str, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await persist("calibrating", self.look, self._every_seconds)
            await asyncio.sleep(self._every_seconds)

    async def look(self) -> None:
        """Once: every index that answers, if its pictures are others than the last time. Raises what catalog and
        shards raise.
        """
        if not await self._catalog.acquire_lease(LEASE, self._holder, _LEASES_LOOKS * self._every_seconds):
            return
        count = (await self._catalog.counts())["indexed"]
        for index in await self._catalog.indexes():
            before = self._known.get(index.id, 0)
            changed = abs(count - before) > _GROWN * before
            placed = self._placed(index.id) if index.state in _ANSWERING else None
            if count < LEAST_PICTURES or not changed or placed is None:
                continue
            pictures = await self._some(placed, count)
            score = await asyncio.to_thread(_score_of, pictures)
            if score is not None:
                await self._catalog.keep_match_score(index.id, round(score, 3))
                logger.info("calibrated", extra={"index": index.id, "score": score, "pictures": len(pictures)})
            self._known[index.id] = count

    async def _some(self, placed: PlacedIndex, count: int) -> list[FetchedPicture]:
        """At most MOST_PICTURES, from several places among the ids, which are given out one after another."""
        ids: dict[ImageId, Tenant] = {}
        for place in range(_PLACES):
            after = ImageId(count * place // _PLACES)
            ids |= dict(await self._catalog.pictures_to_score(None, after, MOST_PICTURES // _PLACES))
        pictures: list[FetchedPicture] = []
        for tenant, rows in groupby(sorted(ids.items(), key=itemgetter(1)), key=itemgetter(1)):
            owned = [id for id, _ in rows]
            pictures += await stored_pictures(placed, tenant, owned, Deadline.after(_SECONDS))
        return pictures


def _score_of(pictures: Sequence[FetchedPicture]) -> float | None:
    if not pictures:
        return None
    vectors = normalise(np.stack([one.vectors[0] for one in pictures]).astype(np.float32))
    _, owners = np.unique([one.tenant for one in pictures], return_inverse=True)
    return match_score(vectors, owners)

"""What is said of pairs, by people and by the kept groups, at hand for every search: followed from the catalog, so that
no answer waits for it.
"""

import asyncio
import logging
from typing import Final

from omma.catalog.interface import Catalog
from omma.catalog.verdict import PairVerdict
from omma.copies import GroupIds, GroupPair
from omma.errors import OmmaError
from omma.identity import ImageId
from omma.vectors import Int64
from services.gateway.search.finding import Said

_LOOK_SECONDS: Final = 2.0
_PAGE: Final = 5_000
_ASK_SECONDS: Final = 10.0
_OVERLAP: Final = 200
"""Ids looked at again: a transaction that took a lower one may end later."""

logger = logging.getLogger(__name__)

Pairs = tuple[tuple[ImageId, ImageId], ...]


class Verdicts:
    """Of all tenants: ids are nobody else's. About 400 bytes a pair that people spoke of, and 19 a picture that is in a
    group. Belongs to one event loop.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._of: dict[ImageId, dict[ImageId, PairVerdict]] = {}
        self._seen = 0
        self._groups = GroupIds()
        self._seen_group = 0

    async def run(self) -> None:
        """Until cancelled. Another gateway's verdicts are here within seconds."""
        while True:
            try:
                async with asyncio.timeout(_ASK_SECONDS):
                    await self.look()
            except (OmmaError, OSError, TimeoutError) as error:
                logger.debug("verdicts could not be looked at", extra={"reason": repr(error)})
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Once, to the newest. Raises as the catalog does."""
        await self._look_at_people()
        await self._look_at_groups()

    async def _look_at_groups(self) -> None:
        after = max(0, self._seen_group - _OVERLAP)
        while True:
            page = await self._catalog.memberships(after, _PAGE)
            for one in page:
                self._groups.put(one.image_id, one.group, one.rule, one.distance)
                after = self._seen_group = max(self._seen_group, one.id)
            if len(page) < _PAGE:
                return

    async def _look_at_people(self) -> None:
        after = max(0, self._seen - _OVERLAP)
        while True:
            page = await self._catalog.pair_verdicts(after, _PAGE)
            for one in page:
                known = self._of.get(one.first, {}).get(one.second)
                if known is None or known.id < one.id:
                    self._of.setdefault(one.first, {})[one.second] = one
                    self._of.setdefault(one.second, {})[one.first] = one
                after = self._seen = max(self._seen, one.id)
            if len(page) < _PAGE:
                return

    def merged_with(self, image_id: ImageId) -> list[ImageId]:
        """Pictures that people said are copies of this one."""
        return [other for other, one in self._of.get(image_id, {}).items() if one.same]

    def among(self, ids: Int64) -> Said:
        """Of these pictures."""
        grouped = self._groups.among(ids)
        if not self._of:
            return Said(grouped=grouped)
        wanted = set(map(ImageId, ids.tolist()))
        said = [
            self._of[first][second]
            for first in sorted(wanted & self._of.keys())
            for second in sorted(wanted & self._of[first].keys())
            if first < second
        ]
        together = tuple((one.first, one.second) for one in said if one.same)
        apart = tuple((one.first, one.second) for one in said if not one.same)
        return Said(together, apart, _without(grouped, apart))


def _without(grouped: tuple[GroupPair, ...], apart: Pairs) -> tuple[GroupPair, ...]:
    """No group that has in it what people said is apart: it is from before they said so, and comes anew in seconds."""
    hub = {picture: pair[0] for pair in grouped for picture in pair[:2]}
    stale = {hub[one] for one, other in apart if one in hub and hub[one] == hub.get(other)}
    return tuple(pair for pair in grouped if pair[0] not in stale)

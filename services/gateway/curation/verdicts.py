"""What people said of pairs, at hand for every search: followed from the catalog, so that no answer waits for it."""

import asyncio
import logging
from typing import Final

from omma.catalog.interface import Catalog
from omma.catalog.verdict import PairVerdict
from omma.errors import OmmaError
from omma.identity import ImageId
from omma.vectors import Int64

_LOOK_SECONDS: Final = 2.0
_PAGE: Final = 5_000
_ASK_SECONDS: Final = 10.0
_OVERLAP: Final = 200
"""Ids looked at again: a transaction that took a lower one may end later."""

logger = logging.getLogger(__name__)

Pairs = tuple[tuple[ImageId, ImageId], ...]


class Verdicts:
    """Of all tenants: ids are nobody else's. About 400 bytes a pair. Belongs to one event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._of: dict[ImageId, dict[ImageId, PairVerdict]] = {}
        self._seen = 0

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

    def among(self, ids: Int64) -> tuple[Pairs, Pairs]:
        """Of these pictures: pairs that are copies, and pairs that are not."""
        if not self._of:
            return (), ()
        wanted = set(map(ImageId, ids.tolist()))
        said = [
            self._of[first][second]
            for first in sorted(wanted & self._of.keys())
            for second in sorted(wanted & self._of[first].keys())
            if first < second
        ]
        together = tuple((one.first, one.second) for one in said if one.same)
        return together, tuple((one.first, one.second) for one in said if not one.same)

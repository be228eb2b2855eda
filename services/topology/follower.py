"""Routing followed while a process runs: what the catalog says is live, with what share, within a second."""

import asyncio
import logging
from typing import Final

from omma.catalog.interface import Catalog
from omma.errors import OmmaError
from omma.telemetry.metrics import INDEXES_MISPLACED, ROUTING_EPOCH
from services.topology.indexes import ServedIndexes

EVERY_SECONDS: Final = 0.5
"""Every follower has seen a promotion after it, and one look: two seconds are promised."""
_WHOLE_LOOKS: Final = 4
"""Between two at the whole routing while its epoch stays: what raises none (an index's match score) is seen by then."""
_LOOK_SECONDS: Final = 5.0
_HEARTBEAT_LOOKS: Final = 20
_PATIENT_LOOKS: Final = 20
"""While an index's shards are being loaded it has no place yet."""

logger = logging.getLogger(__name__)


class RoutingFollower:
    """While the catalog is away what was known last counts: searches do not depend on it."""

    def __init__(self, catalog: Catalog, indexes: ServedIndexes, name: str) -> None:
        """name: that it acknowledges under; unique to this process."""
        self._catalog = catalog
        self._indexes = indexes
        self._name = name
        self._acknowledged = 0
        self._epoch = -1
        self._looks = 0
        self._misplaced_looks = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self.look()
            except (OmmaError, OSError, TimeoutError) as error:
                logger.debug("the routing could not be read", extra={"reason": repr(error)})
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Once; acknowledges what is new, and now and then what is not. Raises what the catalog raises."""
        if self._looks % _WHOLE_LOOKS == 0 or await self._catalog.routing_epoch() != self._epoch:
            routing = await self._catalog.routing()
            self._indexes.follow(routing)
            self._epoch = routing.epoch
            ROUTING_EPOCH.set(routing.epoch)
        self._say_misplaced()
        if self._epoch != self._acknowledged or self._looks % _HEARTBEAT_LOOKS == 0:
            await self._catalog.acknowledge_routing(self._name, self._epoch)
            self._acknowledged = self._epoch
        self._looks += 1

    def _say_misplaced(self) -> None:
        missing = self._indexes.misplaced()
        self._misplaced_looks = self._misplaced_looks + 1 if missing else 0
        INDEXES_MISPLACED.set(len(missing))
        if self._misplaced_looks == _PATIENT_LOOKS:
            for one in missing:
                logger.error(
                    "the catalog routes to %s, which has no place here",
                    one,
                    extra={"reason": self._indexes.why_misplaced(one)},
                )

"""The gate from building to shadow: looked at until it is met, and the step is taken by itself."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from omma.catalog.interface import Catalog
from omma.catalog.rollout import Told
from omma.errors import OmmaError, WrongState
from omma.persistence import keep_running
from omma.rollouts.gates import build_gates
from omma.rollouts.rollout import Rollout, RolloutState
from omma.rollouts.walk import Step
from services.topology.indexes import PlacedIndex
from services.worker.rollouts.coverage import lacking
from services.worker.rollouts.recall import recall_at_10

BY: Final = "omma"
"""Who takes the steps that nobody asked for, in the audit."""
_RETRY_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


class Builder:
    """Looks at the rollout that is building. Several workers may: the step is taken once."""

    def __init__(
        self,
        catalog: Catalog,
        placed: Callable[[str], PlacedIndex | None],
        *,
        every_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """placed: where an index's shards are, None while they are nowhere yet."""
        self._catalog = catalog
        self._placed = placed
        self._every_seconds = every_seconds
        self._now = now
        self._lacked: dict[int, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        await keep_running("building", self._look_again_and_again, _RETRY_SECONDS)

    async def _look_again_and_again(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._every_seconds)

    async def look(self) -> None:
        """Once: note how far the candidate is, and let it into the shadow when nothing is in its way."""
        rollout = (await self._catalog.routing()).running
        if rollout is None or rollout.state is not RolloutState.BUILDING:
            self._lacked = {}
            return
        placed = self._placed(rollout.candidate)
        if placed is None:
            return
        figures = await self._figures(rollout, placed)
        gates = build_gates(figures)
        noted = {**figures, "at_ms": int(self._now() * 1000), "gates": [gate.document() for gate in gates]}
        await self._catalog.note_rollout(rollout.id, "build", noted)
        if all(gate.met for gate in gates):
            try:
                await self._catalog.move_rollout(
                    rollout.id, Step.SHADOW, Told(BY, "Every live picture is in it, and its recall is measured.", noted)
                )
            except WrongState as error:
                logger.info("the candidate was moved by somebody else", extra={"reason": error.detail})
                return
            logger.warning("index %s is built and goes into the shadow", rollout.candidate)

    async def _figures(self, rollout: Rollout, placed: PlacedIndex) -> dict[str, Any]:
        live, lacked = await lacking(self._catalog, placed)
        # What was uploaded between two looks is on its way here as it is to the live index.
        both = {one for one, version in lacked.items() if self._lacked.get(one) == version}
        settled = not lacked or bool(self._lacked)
        self._lacked = lacked
        known = {one.id: one for one in await self._catalog.indexes()}
        figures: dict[str, Any] = {
            "live": live,
            "held": live - len(lacked),
            "missing": len(both) if settled else len(lacked),
            "codebook": known[rollout.candidate].codebook or "",
            "codebook_wanted": known[rollout.control].codebook is not None,
        }
        if figures["missing"] == 0:
            figures["recall_at_10"] = await self._recall(placed, live)
        return figures

    async def _recall(self, placed: PlacedIndex, live: int) -> float | None:
        """1 of an empty index, which misses nothing; None while it cannot be asked."""
        if live == 0:
            return 1.0
        try:
            return await recall_at_10(placed)
        except OmmaError as error:
            logger.info("the candidate's recall is not measured yet", extra={"reason": error.detail})
            return None

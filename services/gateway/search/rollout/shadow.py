"""A sample of live searches, asked of the candidate too once the answer has gone out."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from omma.errors import OmmaError, causes
from omma.judging.tally import Answer
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import SHADOWED
from services.gateway.search.aside import Aside
from services.gateway.search.rollout.figures import ArmFigures
from services.topology.indexes import ServedIndex, ServedIndexes

_SECONDS: Final = 2.0
"""For one search in the shadow: slower is a failure that the gate counts."""

Ask = Callable[[ServedIndex, Deadline], Awaitable[Answer]]

logger = logging.getLogger(__name__)


class Shadow:
    """So many at once, none waits, and none while callers need what there is. Belongs to one event loop."""

    def __init__(
        self,
        indexes: ServedIndexes,
        figures: ArmFigures,
        busy: Callable[[], bool],
        *,
        sampled: float,
        at_once: int,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """sampled: 0 … 1. busy: whether callers need what there is. draw: 0 … 1, of each search."""
        self._indexes = indexes
        self._figures = figures
        self._aside = Aside("shadow", busy, sampled=sampled, at_once=at_once, draw=draw)

    def after(self, live: Answer, ask: Ask) -> None:
        """Perhaps ask the candidate what `live` answered; returns at once. ask: does it, with the candidate."""
        shadowed = self._indexes.shadowed()
        if shadowed is not None:
            rollout, candidate = shadowed
            self._aside.start(partial(self._compare, rollout, candidate, live, ask), SHADOWED.labels("dropped").inc)

    async def run(self) -> None:
        """Until cancelled; then nothing is asked any more."""
        await self._aside.run()

    async def _compare(self, rollout: str, candidate: ServedIndex, live: Answer, ask: Ask) -> None:
        answer = None
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await ask(candidate, Deadline.after(_SECONDS))
        except (OmmaError, OSError, TimeoutError) as error:
            reason = causes(error) if isinstance(error, OmmaError) else repr(error)
            logger.info("a search in the shadow failed", extra={"reason": reason})
        except Exception:
            logger.exception("a search in the shadow failed")
        SHADOWED.labels("failed" if answer is None else "asked").inc()
        self._figures.shadowed(rollout, live, answer)

"""Measured recall of live traffic: a sample of searches is repeated exactly, once the answer has gone out."""

import asyncio
import logging
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from omma.errors import OmmaError, causes
from omma.rollouts.arms import Variant
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import RECALL_AT_10, REPEATED
from services.gateway.search.aside import Aside
from services.gateway.search.finding import Side
from services.gateway.search.rollout.figures import ArmFigures

K: Final = 10
_SECONDS: Final = 5.0
"""For one search repeated exactly: every vector is looked at."""
_KEPT: Final = 200
"""Of an index: its recall is their mean, whose standard error is a percent or less."""

Repeat = Callable[[Deadline], Awaitable[Sequence[int]]]

logger = logging.getLogger(__name__)


class Recall:
    """Of each index that answers, by what this gateway repeated last. Belongs to one event loop."""

    def __init__(
        self,
        figures: ArmFigures,
        busy: Callable[[], bool],
        *,
        sampled: float,
        at_once: int = 1,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """figures: told of the searches of an arm. sampled, busy, draw: as Aside has them."""
        self._figures = figures
        self._aside = Aside("recall", busy, sampled=sampled, at_once=at_once, draw=draw)
        self._measured: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def after(self, variant: Variant | None, side: Side, repeat: Repeat) -> None:
        """Perhaps repeat what `side` found; returns at once. repeat: exactly, the ids of the K best."""
        self._aside.start(partial(self._compare, variant, side, repeat), REPEATED.labels("dropped").inc)

    def at_10(self, index_id: str) -> float | None:
        """0 … 1; None before anything was measured."""
        measured = self._measured.get(index_id)
        return sum(measured) / len(measured) if measured else None

    def forget(self, index_id: str) -> None:
        """Of an index that answers no more."""
        if self._measured.pop(index_id, None):
            RECALL_AT_10.remove(index_id)

    async def run(self) -> None:
        """Until cancelled; then nothing is asked any more."""
        await self._aside.run()

    async def _compare(self, variant: Variant | None, side: Side, repeat: Repeat) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                exact = await repeat(Deadline.after(_SECONDS))
        except (OmmaError, OSError, TimeoutError) as error:
            REPEATED.labels("failed").inc()
            reason = causes(error) if isinstance(error, OmmaError) else repr(error)
            logger.info("a search could not be repeated exactly", extra={"reason": reason})
            return
        REPEATED.labels("asked").inc()
        if not exact:
            return
        found = side.found.candidates.ids[:K].tolist()
        recall = len(set(exact) & set(found)) / len(exact)
        index_id = side.served.index.id
        self._measured[index_id].append(recall)
        RECALL_AT_10.labels(index_id).set(self.at_10(index_id) or 0.0)
        if variant is not None:
            self._figures.repeated(variant, recall)

"""A candidate's embedding, kept below the live index's: it rests as long as it worked, or longer."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.vectors import Float16
from services.egs.client import EmbeddedItem, Embedder, ImageItem, TextItem, Urgency

_LATER: Final = 5.0
"""An embedder takes what is due first first: a search before live ingest, and that before the backfill. Triton knows no
deadlines, and has the same order by its priorities.
"""


class BackfillEmbedder:
    """One call at a time while it is held back, due later than others, and a rest after each; as the other embedder
    otherwise.
    """

    def __init__(self, embedder: Embedder, held_back: Callable[[], bool], *, share: float) -> None:
        """held_back: whether it only fills an index that answers nobody. share: of the time that it may work then."""
        self._embedder = embedder
        self._held_back = held_back
        self._share = share
        self._turn = asyncio.Lock()

    @property
    def space(self) -> Space:
        return self._embedder.space

    @property
    def has_text_tower(self) -> bool:
        return self._embedder.has_text_tower

    @property
    def windows(self) -> int:
        return self._embedder.windows

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        """As services.egs.client.Embedder; the rest comes before the answer, so that nobody asks meanwhile."""
        if not self._held_back():
            return await self._embedder.embed(items, deadline)
        allowed_seconds = _LATER * deadline.require()
        later = [replace(one, urgency=Urgency.BACKFILL) if isinstance(one, ImageItem) else one for one in items]
        async with self._turn:
            began = time.monotonic()
            answers = await self._embedder.embed(later, Deadline.after(allowed_seconds))
            await asyncio.sleep((time.monotonic() - began) * (1 / self._share - 1))
        return answers

    async def trained_on(self) -> Float16 | None:
        return await self._embedder.trained_on()

    async def ready(self) -> bool:
        return await self._embedder.ready()

    async def close(self) -> None:
        """Whoever opened the other one closes it."""

"""The words that pictures are told by, as vectors of each space that is asked for."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np

from omma.errors import OmmaError
from omma.known_words import KnownWords
from omma.rpc.deadline import Deadline
from omma.space import SpaceId
from omma.vectors import Float32
from services.egs.client import EmbeddedItem, TextItem
from services.gateway.search.common_words import COMMON_WORDS
from services.topology.indexes import ServedIndex

_AT_ONCE: Final = 16
"""Words in a call, so that a search for words has its turn soon."""
_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 5.0
_LEAST_KNOWN: Final = 0.3
"""A word that the tower is less sure of says nothing: `tofu` had 0.07."""
_SPACES: Final = 4

logger = logging.getLogger(__name__)


class Vocabulary:
    """Belongs to one event loop."""

    def __init__(
        self,
        words: Sequence[str] = (),
        *,
        common: Sequence[str] = COMMON_WORDS,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        """words: none: the common ones. common: against which any words are judged. pause_seconds: after a fault."""
        self._common = common
        self._words = words or common
        self._pause_seconds = pause_seconds
        self._vectors: OrderedDict[SpaceId, dict[str, Float32]] = OrderedDict()
        self._known: dict[SpaceId, KnownWords] = {}
        self._wanted: asyncio.Queue[ServedIndex] = asyncio.Queue()
        self._waiting: set[SpaceId] = set()

    def known(self, served: ServedIndex) -> KnownWords | None:
        """None while they are embedded, which begins with the first call, and where the model has no text tower."""
        space = served.space.id
        if space in self._known or not served.embedder.has_text_tower:
            return self._known.get(space)
        if space not in self._waiting:
            self._waiting.add(space)
            self._wanted.put_nowait(served)
        return None

    async def run(self) -> None:
        """Until cancelled. What fails is asked for again by whoever needs it."""
        while True:
            served = await self._wanted.get()
            try:
                self._known[served.space.id] = await self.embedded(served, self._words)
            except OmmaError as error:
                logger.warning("the words for pictures wait", extra={"reason": error.detail})
                await asyncio.sleep(self._pause_seconds)
            finally:
                self._waiting.discard(served.space.id)

    async def embedded(self, served: ServedIndex, words: Sequence[str] = ()) -> KnownWords:
        """These words, or the vocabulary's, less those that mean nothing to the model. Raises as Embedder.embed."""
        space, asked = served.space.id, words or self._words
        common = self._vectors.get(space) or await _embedded(served, self._common)
        self._vectors[space] = common
        if len(self._vectors) > _SPACES:
            self._known.pop(self._vectors.popitem(last=False)[0], None)
        own = common | await _embedded(served, [word for word in asked if word not in self._common])
        found = {word: own[word] for word in asked if word in own}
        vectors = [*found.values(), *(vector for word, vector in common.items() if word not in found)]
        return KnownWords(tuple(found), np.stack(vectors) if vectors else KnownWords.none(served.space.dim).vectors)


async def _embedded(served: ServedIndex, words: Sequence[str]) -> dict[str, Float32]:
    """Of those that the model knows."""
    known: dict[str, Float32] = {}
    for start in range(0, len(words), _AT_ONCE):
        part = words[start : start + _AT_ONCE]
        items = await served.embedder.embed([TextItem(word) for word in part], Deadline.after(_SECONDS))
        for word, item in zip(part, items, strict=True):
            if isinstance(item, EmbeddedItem) and item.confidence >= _LEAST_KNOWN:
                known[word] = item.vectors[0]
    return known

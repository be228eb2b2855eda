"""Words for what was sought: the tags of what is near it, each with how sure that makes it. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

from services.gateway.search.answer import SearchHit

_TEMPERATURE: Final = 0.1
"""Of cosine: a hit that is this much farther than the nearest one says e times less."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """confidence: 0 … 1, the share of the neighbours that have the tag, the nearer ones counting more."""

    word: str
    confidence: float


def keywords_of(hits: Sequence[SearchHit], at_most: int) -> list[Keyword]:
    """The surest first, equal ones by name. hits: best first."""
    said: defaultdict[str, float] = defaultdict(float)
    total = 0.0
    for hit in hits:
        weight = exp((hit.score - hits[0].score) / _TEMPERATURE)
        total += weight
        for tag in set(hit.payload.tags):
            said[tag] += weight
    found = sorted(said.items(), key=lambda one: (-one[1], one[0]))[:at_most]
    return [Keyword(word, round(weight / total, 4)) for word, weight in found]

"""How long a query took of late: what decides whether it runs where it arrives."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_KINDS: Final = 1_024
_FORGET: Final = 0.1


class Pace:
    """Seconds a query, by what it asks for. A slow call counts at once, a fast one by a tenth. Bounded."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[Hashable, float] = OrderedDict()

    def expected(self, kind: Hashable, queries: int) -> float:
        """Seconds that a call with so many queries should take; infinity for a kind that was never seen."""
        return self._seconds.get(kind, float("inf")) * queries

    def took(self, kind: Hashable, queries: int, seconds: float) -> None:
        now = seconds / queries
        before = self._seconds.get(kind, now)
        self._seconds[kind] = now if now > before else before + _FORGET * (now - before)
        self._seconds.move_to_end(kind)
        if len(self._seconds) > _KINDS:
            self._seconds.popitem(last=False)

"""How many searches at once a machine holds, learned from how long they take."""

from typing import Final

_LEAST: Final = 2
_ROUND: Final = 16
"""Searches, at least, that one judgment rests on."""
_CUT: Final = 0.8
_RAISED: Final = 1.1
_SLOWER: Final = 2.0
"""Times what searches take that have the machine to themselves: below it, fewer at once would gain nothing."""
_SMOOTHED: Final = 0.3


class Concurrency:
    """A limit that is cut while searches are slow because there are many, and raised while it is reached and they
    are not: additive increase, multiplicative decrease, as TCP does it (Chiu and Jain 1989).

    More at once than a machine has cores makes each slower and none more done: past the deadline all of it is waste.
    """

    def __init__(self, most: int, slow_seconds: float) -> None:
        """slow_seconds: what a search may take before fewer are run at once."""
        self.limit = most
        self.seconds: float | None = None
        """What a search takes at the limit of late; None before it is known."""
        self._most = most
        self._least = min(_LEAST, most)
        self._slow_seconds = slow_seconds
        self._alone_seconds: float | None = None
        self._took: list[float] = []
        self._ran_out: list[float] = []
        self._peak = 0

    def ended(self, took_seconds: float, at_once: int, *, in_time: bool = True) -> None:
        """at_once: searches under way as it ended, itself included.

        What ran out of time counts only where nothing else ended: an embedder that hangs must not hold up searches
        that need none.
        """
        (self._took if in_time else self._ran_out).append(took_seconds)
        self._peak = max(self._peak, at_once)
        if len(self._took) + len(self._ran_out) >= max(_ROUND, self._peak):
            counted = self._took or self._ran_out
            self._judge(sum(counted) / len(counted))
            self._took, self._ran_out, self._peak = [], [], 0

    def _judge(self, mean_seconds: float) -> None:
        self.seconds = _smoothed(self.seconds, mean_seconds)
        if self._peak <= self._least:
            self._alone_seconds = _smoothed(self._alone_seconds, mean_seconds)
        alone = self._alone_seconds
        crowded = self._peak > self._least and (alone is None or mean_seconds > _SLOWER * alone)
        if mean_seconds > self._slow_seconds and crowded:
            self.limit = max(self._least, int(_CUT * min(self.limit, self._peak)))
        elif self._peak >= self.limit:
            self.limit = min(self._most, max(self.limit + 1, int(_RAISED * self.limit)))


def _smoothed(known: float | None, new: float) -> float:
    return new if known is None else known + _SMOOTHED * (new - known)

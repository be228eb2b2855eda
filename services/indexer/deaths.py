"""When too many pictures die of one kind of fault the fault is not theirs: a bad deploy must not empty the topic."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

from omma.errors import Kind

_LONGEST_PAUSES: Final = 16
"""As many first pauses the longest one has."""

Fate = Kind | None
"""Of a picture: what it died of, None while it lives."""


class Deaths:
    """The fates of the last pictures. share of a full window dead of one kind is too many, unless this batch is well.

    A batch may die all the same after a pause, so that what really cannot be read holds nothing back for ever: one
    batch a pause, each twice as long as the last.
    """

    def __init__(self, window: int, share: float, pause_seconds: float) -> None:
        """share: 1 for never too many."""
        self._window = window
        self._share = share
        self._first_pause_seconds = pause_seconds
        self._fates: deque[Fate] = deque()
        self._times = 1

    def excess(self, batch: Sequence[Fate]) -> Kind | None:
        """The kind that too many would have died of with this batch, and that most of the batch dies of too."""
        fates = [*self._fates, *batch][-self._window :]
        if len(fates) < self._window or self._share >= 1:
            return None
        kinds = Counter(fate for fate in batch if fate is not None)
        for kind, count in kinds.most_common(1):
            if count > self._share * len(batch) and fates.count(kind) > self._share * len(fates):
                return kind
        return None

    def note(self, batch: Iterable[Fate]) -> None:
        """These fates are sealed."""
        for fate in batch:
            self._fates.append(fate)
            if len(self._fates) > self._window:
                self._fates.popleft()

    def next_pause_seconds(self) -> float:
        """How long to wait now; twice as long the next time, until `calm`."""
        times = self._times
        self._times = min(2 * times, _LONGEST_PAUSES)
        return times * self._first_pause_seconds

    def calm(self) -> None:
        """A batch was well."""
        self._times = 1

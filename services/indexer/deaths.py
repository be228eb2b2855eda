"""When too many pictures of one place die of one kind of fault the fault is not theirs: a bad deploy empties no topic.

Told by place, since a deploy shows in what was well before. An upload was read once already, when it was taken in: of
whatever it dies, somebody else may be at fault. The files of a folder or a bucket nobody has looked at: that their
bytes are no picture says nothing of the deploy, and three hundred cut-off JPEGs must stop nobody, not even their own
folder. That they are all away, or that the model fails on each of them, does.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from omma.errors import Kind
from services.indexer.sources import Dead, Outcome
from services.indexer.taken import UPLOADS

_LONGEST_PAUSES: Final = 16
"""As many first pauses the longest one has."""
_PLACES: Final = 1_000
"""Whose fates are remembered: of the others that were seen last."""
_OF_THE_BYTES: Final = frozenset({Kind.INVALID_PICTURE, Kind.UNSUPPORTED_MEDIA, Kind.TOO_LARGE})

Fate = Kind | None
"""Of a picture: what it died of and a deploy may have caused; None for every other one."""


def fate_of(place: str, outcome: Outcome) -> Fate:
    """None also for a death that no deploy can cause."""
    if not isinstance(outcome, Dead):
        return None
    kind = outcome.error.kind
    # A file whose bytes are no longer those that were found was changed under the ingest.
    of_the_bytes = kind in _OF_THE_BYTES or (outcome.reading and kind is Kind.CORRUPT)
    return None if of_the_bytes and place != UPLOADS else kind


class Deaths:
    """The fates of a place's last pictures. share of a full window dead of one kind is too many, unless this batch is
    well.

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
        self._may_die = False

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
        """How long to wait now; twice as long the next time, until `calm`. One batch may die after it."""
        times = self._times
        self._times = min(2 * times, _LONGEST_PAUSES)
        self._may_die = True
        return times * self._first_pause_seconds

    def take_leave_to_die(self) -> bool:
        """Whether this batch may die, as the one that may after a pause."""
        may_die, self._may_die = self._may_die, False
        return may_die

    def calm(self) -> None:
        """A batch was well."""
        self._times = 1
        self._may_die = False


class DeathsByPlace:
    """A Deaths each place."""

    def __init__(self, new: Callable[[], Deaths]) -> None:
        self._new = new
        self._places: OrderedDict[str, Deaths] = OrderedDict()

    def of(self, place: str) -> Deaths:
        deaths = self._places.setdefault(place, self._new())
        self._places.move_to_end(place)
        if len(self._places) > _PLACES:
            self._places.popitem(last=False)
        return deaths

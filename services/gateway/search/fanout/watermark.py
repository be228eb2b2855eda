"""Whether a replica still consumes: it is compared with what its siblings had applied a while ago."""

from collections import deque
from typing import Final

_SLOTS: Final = 16
"""A step of the watermark is known to a sixteenth of the time that replicas are given."""


class Watermark:
    """The furthest that any replica of one shard had applied, `seconds` ago.

    A replica whose consumer stalls cannot know the log's end, and one that was not asked for a while has not told what
    it applied since. So an answer is compared with what a sibling had *before* that answer was asked for.
    """

    __slots__ = ("_due", "_records", "_rising", "_seconds", "_width")

    def __init__(self, records: int, seconds: float) -> None:
        """records: that a replica may lack; seconds: how long it may lack more."""
        self._records = records
        self._seconds = seconds
        self._width = seconds / _SLOTS
        self._rising: deque[tuple[float, int]] = deque()
        self._due = 0

    def saw(self, applied: int, asked_at: float) -> bool:
        """Whether a replica that had applied this, when it was asked, is stale. asked_at: seconds, of one clock."""
        while self._rising and self._rising[0][0] <= asked_at:
            self._due = max(self._due, self._rising.popleft()[1])
        highest = self._rising[-1][1] if self._rising else self._due
        if applied > highest:
            due_at = (asked_at // self._width + 1) * self._width + self._seconds
            if self._rising and self._rising[-1][0] >= due_at:
                self._rising[-1] = (self._rising[-1][0], applied)
            else:
                self._rising.append((due_at, applied))
        return self.is_behind(applied)

    def is_behind(self, applied: int) -> bool:
        """Whether this is less than was due when `saw` was last called."""
        return applied + self._records < self._due

    def reset(self) -> None:
        """No replica stands where the watermark does: the log was replaced."""
        self._rising.clear()
        self._due = 0

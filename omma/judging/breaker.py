"""When a gateway stops asking a candidate by itself, long before the judge has its minutes."""

from collections import deque
from typing import Final

_LAST: Final = 40
_FAILED: Final = 20
"""Of the candidate's last searches; half of that, of the control's, and the trouble is everybody's."""


class Breaker:
    """Of one rollout, in one gateway. Once open it stays open: only a step of the rollout closes it, with a new one."""

    def __init__(self) -> None:
        self._candidate: deque[bool] = deque(maxlen=_LAST)
        self._control: deque[bool] = deque(maxlen=_LAST)
        self.is_open = False

    def answered(self, *, of_candidate: bool, failed: bool) -> bool:
        """Note how a search ended; True when it is this one that opens the breaker."""
        (self._candidate if of_candidate else self._control).append(failed)
        opens = not self.is_open and sum(self._candidate) >= _FAILED and 2 * sum(self._control) < _FAILED
        self.is_open |= opens
        return opens

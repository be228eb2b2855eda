"""A deadline that travels: every call spends what is left of one budget."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from omma.errors import OutOfTime


@dataclass(frozen=True, slots=True)
class Deadline:
    """at_seconds: on the monotonic clock `now`, which tests inject."""

    at_seconds: float
    now: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, now: Callable[[], float] = time.monotonic) -> "Deadline":
        return cls(now() + seconds, now)

    def remaining_seconds(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at_seconds - self.now())

    def require(self) -> float:
        """Seconds left; raises OutOfTime when there are none."""
        left = self.remaining_seconds()
        if left <= 0:
            raise OutOfTime("The deadline has passed.")
        return left

    def earlier(self, seconds: float) -> "Deadline":
        """The same deadline less what the caller needs for itself afterwards."""
        return Deadline(self.at_seconds - seconds, self.now)

    @asynccontextmanager
    async def ends(self, what: str) -> AsyncIterator[None]:
        """The block is cancelled at the deadline, also where it waits for a part that knows no deadlines.

        what: is told in the OutOfTime that it then raises.
        """
        try:
            async with asyncio.timeout(self.require()) as clock:
                yield
        except TimeoutError:
            if not clock.expired():
                raise  # somebody else's
            raise OutOfTime(f"{what} did not end within the deadline.") from None

"""No more than so many a second, evenly."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """For one task. What was not used is not saved up."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seconds_each = 1 / per_second
        self._now = now
        self._sleep = sleep
        self._next = 0.0

    async def spend(self, count: int) -> None:
        """Wait for the turn of the next ones, then take the time of so many."""
        now = self._now()
        wait = self._next - now
        self._next = max(self._next, now) + count * self._seconds_each
        if wait > 0:
            await self._sleep(wait)

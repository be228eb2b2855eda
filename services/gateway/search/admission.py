"""How many searches are under way at once, how many wait for their turn, and for how long."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omma.errors import Overloaded
from omma.telemetry.metrics import REQUESTS_SHED, SEARCHES_IN_FLIGHT, SEARCHES_WAITING

_RETRY_AFTER_SECONDS = 1.0


class Admission:
    """First come, first served; what cannot be served soon is refused at once, while refusing is still cheap.

    Belongs to one event loop.
    """

    def __init__(self, max_running: int, max_waiting: int = 0, max_wait_seconds: float = 0.5) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """The block is one search under way. Raises Overloaded when too many wait, or this one waited too long."""
        if self._running < self._max_running:
            self._running += 1
        else:
            await self._turn()
        SEARCHES_IN_FLIGHT.set(self._running)
        try:
            yield
        finally:
            self._hand_over()
            SEARCHES_IN_FLIGHT.set(self._running)

    async def _turn(self) -> None:
        if len(self._waiting) >= self._max_waiting:
            raise _shed("queue_full", f"{self._max_running} searches are under way and {len(self._waiting)} wait.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        SEARCHES_WAITING.set(len(self._waiting))
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                await turn
        except BaseException as error:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._hand_over()  # its turn came while it gave up
            if isinstance(error, TimeoutError):
                message = (
                    f"No turn came in {self._max_wait_seconds} seconds; {self._max_running} searches are under way."
                )
                raise _shed("waited", message) from None
            raise
        finally:
            SEARCHES_WAITING.set(len(self._waiting))

    def _hand_over(self) -> None:
        """To the one that has waited longest; without one, the place is free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1


def _shed(reason: str, detail: str) -> Overloaded:
    REQUESTS_SHED.labels(reason).inc()
    return Overloaded(detail, retry_after_seconds=_RETRY_AFTER_SECONDS)

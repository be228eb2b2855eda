"""So many at a time, and of those who wait the earliest deadline first."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omma.errors import OutOfTime
from omma.rpc.deadline import Deadline


class Gate:
    """A semaphore that lets a search overtake ingest. Belongs to one event loop."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._arrival = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def entered(self, deadline: Deadline) -> AsyncIterator[None]:
        """Hold a place for the block. Raises OutOfTime when none came free before the deadline."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(deadline)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, deadline: Deadline) -> None:
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (deadline.at_seconds, next(self._arrival), turn))
        try:
            async with asyncio.timeout(deadline.require()):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release()  # the place came as we left
            turn.cancel()
            if isinstance(error, TimeoutError):
                raise OutOfTime("The deadline passed while the work waited.") from None
            raise

    def _release(self) -> None:
        while self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

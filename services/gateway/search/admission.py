"""How many searches are under way at once, who waits for a turn, and who is told at once that it would be in vain."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from omma.errors import OutOfTime, Overloaded
from omma.identity import Tenant
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import REQUESTS_SHED, SEARCHES_AT_ONCE, SEARCHES_IN_FLIGHT, SEARCHES_WAITING
from services.gateway.search.concurrency import Concurrency
from services.gateway.sharing.places import Places
from services.gateway.sharing.shares import Shares

_RETRY_AFTER_SECONDS: Final = 1.0
_SLOW_SECONDS: Final = 0.5


class Admission:
    """Tenants take turns, each first come, first served. What cannot be answered in its time, by what searches took
    of late and by those who wait before it, is refused at once: later it would have cost others theirs.

    Belongs to one event loop.
    """

    def __init__(
        self,
        max_running: int,
        max_waiting: int = 0,
        max_wait_seconds: float = 0.5,
        *,
        shares: Shares | None = None,
        slow_seconds: float = _SLOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """slow_seconds: searches that take longer, because there are many, make it fewer than max_running."""
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._clock = clock
        self._concurrency = Concurrency(max_running, slow_seconds)
        self._places = Places(max_running, shares or Shares())

    @property
    def running(self) -> int:
        return self._places.taken

    @property
    def waiting(self) -> int:
        return self._places.waiting

    @property
    def busy(self) -> bool:
        """Somebody waits, or half of the places are taken: what no caller waits for is left out."""
        return self.waiting > 0 or 2 * self.running >= self._places.limit

    @asynccontextmanager
    async def admitted(self, tenant: Tenant, deadline: Deadline) -> AsyncIterator[None]:
        """The block is one search under way.

        Raises Overloaded: too many wait, its turn would come too late, or it did not come; OutOfTime.
        """
        deadline.require()
        # A place that is free is given to the most hurried: nobody loses by it.
        if not self._places.take_now(tenant):
            await self._turn(tenant, deadline)
        SEARCHES_IN_FLIGHT.set(self.running)
        began = self._clock()
        try:
            yield
        except OutOfTime:
            self._concurrency.ended(self._clock() - began, self.running, in_time=False)
            raise
        else:
            # What else failed, or was cancelled, says nothing of how long a search takes.
            self._concurrency.ended(self._clock() - began, self.running)
        finally:
            self._places.limit = self._concurrency.limit
            self._places.give_back(tenant)
            self._show()

    async def _turn(self, tenant: Tenant, deadline: Deadline) -> None:
        longest = self._longest_wait(tenant, deadline)
        if self.waiting >= self._max_waiting and not self._places.make_room(tenant, self._full):
            raise self._full()
        SEARCHES_WAITING.set(self.waiting + 1)
        try:
            await self._places.take(tenant, longest)
        except TimeoutError:
            raise _shed("waited", f"No turn came in {longest:.2f} seconds; {self._under_way()}.") from None
        finally:
            self._show()

    def _longest_wait(self, tenant: Tenant, deadline: Deadline) -> float:
        """Seconds that waiting may take and leave time for an answer. Raises Overloaded when it would take longer."""
        usual = self._concurrency.seconds or 0.0
        longest = min(self._max_wait_seconds, deadline.remaining_seconds() - usual)
        expected = usual * (self._places.ahead_of(tenant) + 1) / self._places.limit
        if longest <= 0 or expected > longest:
            raise _shed("no_time", f"A turn would come in {expected:.2f} seconds; {self._under_way()}.", expected)
        return longest

    def _full(self) -> Overloaded:
        return _shed("queue_full", f"{self._under_way()} and {self.waiting} wait.")

    def _under_way(self) -> str:
        return f"{self.running} searches are under way"

    def _show(self) -> None:
        SEARCHES_IN_FLIGHT.set(self.running)
        SEARCHES_WAITING.set(self.waiting)
        SEARCHES_AT_ONCE.set(self._places.limit)


def _shed(reason: str, detail: str, retry_after_seconds: float = 0.0) -> Overloaded:
    REQUESTS_SHED.labels(reason).inc()
    return Overloaded(detail, retry_after_seconds=max(_RETRY_AFTER_SECONDS, retry_after_seconds))

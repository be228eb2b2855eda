"""So many at a time, of tenants who take turns."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from omma.identity import Tenant
from services.gateway.sharing.shares import Shares
from services.gateway.sharing.turns import Turns, Waiter


class Places:
    """A semaphore that no tenant can take all of: of those who wait the tenant that has least for its weight comes
    first, and of one tenant's the one that came first. Belongs to one event loop.
    """

    def __init__(self, limit: int, shares: Shares) -> None:
        self.limit = limit
        """May change; what is above it runs to its end."""
        self.taken = 0
        self._shares = shares
        self._taken_by: defaultdict[Tenant, int] = defaultdict(int)
        self._turns = Turns()

    @property
    def waiting(self) -> int:
        return len(self._turns)

    def take_now(self, tenant: Tenant) -> bool:
        """Whether there was a place. Whoever waits may not have it, or would have been handed it."""
        if not self._may_have(tenant):
            return False
        self._take(tenant)
        return True

    async def take(self, tenant: Tenant, seconds: float) -> None:
        """Waits for a place. Raises TimeoutError when none came, what `make_room` was given when it has to go."""
        if self.take_now(tenant):
            return
        waiter = Waiter(tenant)
        self._turns.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter.turn
        except BaseException:
            if waiter.has_turn:
                self.give_back(tenant)  # it came as this one gave up
            else:
                self._turns.remove(waiter)
            raise

    def give_back(self, tenant: Tenant) -> None:
        """And hand every free place to whoever's turn it is."""
        self.taken -= 1
        self._taken_by[tenant] -= 1
        if not self._taken_by[tenant]:
            del self._taken_by[tenant]
        while (waiter := self._turns.next(self._rank)) is not None:
            if not waiter.turn.done():  # cancelled: it has not yet heard of it
                self._take(waiter.tenant)
                waiter.turn.set_result(None)

    def ahead_of(self, tenant: Tenant) -> int:
        """How many would come before one of this tenant."""
        return self._turns.ahead_of(tenant)

    def make_room(self, tenant: Tenant, error: Callable[[], Exception]) -> bool:
        """Whether one who waits went with the error, so that this tenant, which has fewer waiting, may wait."""
        last = self._turns.newest_of_longest(self._shares.weight, than=tenant)
        if last is None:
            return False
        self._turns.remove(last)
        if not last.turn.done():
            last.turn.set_exception(error())
        return True

    def _may_have(self, tenant: Tenant) -> bool:
        most = self._shares.most(tenant, self.limit)
        return self.taken < self.limit and self._taken_by.get(tenant, 0) < most

    def _take(self, tenant: Tenant) -> None:
        self.taken += 1
        self._taken_by[tenant] += 1

    def _rank(self, tenant: Tenant) -> float | None:
        if not self._may_have(tenant):
            return None
        return self._taken_by.get(tenant, 0) / self._shares.weight(tenant)

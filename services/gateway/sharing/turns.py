"""Who waits for a turn, and whose it is next."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from omma.identity import Tenant


@dataclass(eq=False, slots=True)
class Waiter:
    """turn: done when its turn has come, or with the error that ends its waiting."""

    tenant: Tenant
    turn: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def has_turn(self) -> bool:
        return self.turn.done() and not self.turn.cancelled() and self.turn.exception() is None


class Turns:
    """A queue a tenant, each first come, first served."""

    def __init__(self) -> None:
        self._queues: dict[Tenant, deque[Waiter]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, waiter: Waiter) -> None:
        self._queues.setdefault(waiter.tenant, deque()).append(waiter)
        self._count += 1

    def remove(self, waiter: Waiter) -> None:
        """One that has waited in vain; nothing when it is gone already."""
        queue = self._queues.get(waiter.tenant, ())
        if waiter in queue:
            self._taken(waiter)

    def next(self, rank: Callable[[Tenant], float | None]) -> Waiter | None:
        """The longest waiting of the tenant that ranks lowest, taken out; None when nobody may have a turn.

        rank: None for a tenant that may have none. Of equal ranks the tenant comes first that had no turn for longest.
        """
        ranked = [(at, tenant) for tenant in self._queues if (at := rank(tenant)) is not None]
        if not ranked:
            return None
        _, tenant = min(ranked, key=lambda one: one[0])
        waiter = self._queues[tenant][0]
        self._taken(waiter)
        if tenant in self._queues:
            self._queues[tenant] = self._queues.pop(tenant)  # behind the others
        return waiter

    def ahead_of(self, tenant: Tenant) -> int:
        """How many come before one who joins this tenant's queue now, when tenants take turns."""
        own = len(self._queues.get(tenant, ()))
        return own + sum(min(len(queue), own + 1) for other, queue in self._queues.items() if other != tenant)

    def newest_of_longest(self, weight: Callable[[Tenant], float], than: Tenant) -> Waiter | None:
        """The last in the queue that is longest for its weight; None when that of `than` would be the longest."""
        if not self._queues:
            return None
        longest = max(self._queues, key=lambda tenant: len(self._queues[tenant]) / weight(tenant))
        newcomer = (len(self._queues.get(than, ())) + 1) / weight(than)
        if longest == than or len(self._queues[longest]) / weight(longest) <= newcomer:
            return None
        return self._queues[longest][-1]

    def _taken(self, waiter: Waiter) -> None:
        queue = self._queues[waiter.tenant]
        queue.remove(waiter)
        self._count -= 1
        if not queue:
            del self._queues[waiter.tenant]

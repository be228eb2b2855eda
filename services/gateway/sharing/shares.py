"""What tenants share, so that none of them can take all of it."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from omma.identity import Tenant


@dataclass(frozen=True, slots=True)
class Shares:
    """of_one: the most that a tenant of weight 1 may take of anything, 0 … 1. weights: of tenants that differ."""

    of_one: float = 1.0
    weights: Mapping[str, float] = field(default_factory=dict)

    def weight(self, tenant: Tenant) -> float:
        return self.weights.get(tenant, 1.0)

    def most(self, tenant: Tenant, total: int) -> int:
        """Of so many the tenant's most, at least 1."""
        return max(1, math.ceil(total * min(1.0, self.of_one * self.weight(tenant))))


class Held:
    """How much of `total` each tenant holds. Belongs to one event loop."""

    def __init__(self, total: int, shares: Shares) -> None:
        self.total = total
        self.amount = 0
        self._shares = shares
        self._of: defaultdict[Tenant, int] = defaultdict(int)

    def take(self, tenant: Tenant, amount: int) -> bool:
        """Whether it fits into what is free and into the tenant's share; then it is held until `give_back`."""
        most = self._shares.most(tenant, self.total)
        if self.amount + amount > self.total or self._of[tenant] + amount > most:
            self._drop_if_none(tenant)
            return False
        self.amount += amount
        self._of[tenant] += amount
        return True

    def give_back(self, tenant: Tenant, amount: int) -> None:
        self.amount -= amount
        self._of[tenant] -= amount
        self._drop_if_none(tenant)

    def _drop_if_none(self, tenant: Tenant) -> None:
        if not self._of[tenant]:
            del self._of[tenant]

"""How many requests a second each tenant may make: a bucket of tokens each, of one process."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from omma.errors import Overloaded
from omma.identity import Tenant

OTHERS: Final = "*"
"""Stands for every tenant that is not named."""
_BURST_SECONDS: Final = 2.0
_MAX_TENANTS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """What was not used is saved up for two seconds. For one event loop."""

    def __init__(self, per_second: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        """per_second: requests, by tenant or OTHERS; who has none is not limited."""
        self._per_second = per_second
        self._now = now
        self._buckets: dict[Tenant, _Bucket] = {}

    def spend(self, tenant: Tenant) -> None:
        """One request. Raises Overloaded, which says when there is room for the next."""
        rate = self._per_second.get(tenant, self._per_second.get(OTHERS))
        if rate is None:
            return
        most, now = max(1.0, rate * _BURST_SECONDS), self._now()
        bucket = self._buckets.get(tenant)
        if bucket is None:
            if len(self._buckets) >= _MAX_TENANTS:
                self._buckets.clear()  # each begins anew, with its burst
            bucket = self._buckets[tenant] = _Bucket(most, now)
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            raise Overloaded(
                f"This tenant may make {rate:g} requests a second.",
                limit=rate,
                retry_after_seconds=float(math.ceil((1 - bucket.tokens) / rate)),
            )
        bucket.tokens -= 1

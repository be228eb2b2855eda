"""The bytes of request bodies that are held at once, of both faces: a hundred callers with 20 MB each must not end the
process.
"""

from omma.errors import Overloaded
from omma.identity import Tenant
from omma.telemetry.metrics import BODY_BYTES_IN_FLIGHT, REQUESTS_SHED
from services.gateway.sharing.shares import Held, Shares


class Bodies:
    """Bytes count from when they are here until their request is answered. Belongs to one event loop."""

    def __init__(self, max_bytes: int, shares: Shares) -> None:
        self.max_bytes = max_bytes
        self._held = Held(max_bytes, shares)

    @property
    def bytes(self) -> int:
        return self._held.amount

    def charge(self, tenant: Tenant, size: int) -> None:
        """Raises Overloaded when they are more than there is room for, or than the tenant's share."""
        if not self._held.take(tenant, size):
            REQUESTS_SHED.labels("body_bytes").inc()
            raise Overloaded(
                f"The bodies of the requests under way hold {self.bytes:,} bytes; you may not hold more of them now.",
                limit=self.max_bytes,
                retry_after_seconds=1.0,
            )
        BODY_BYTES_IN_FLIGHT.set(self.bytes)

    def give_back(self, tenant: Tenant, size: int) -> None:
        self._held.give_back(tenant, size)
        BODY_BYTES_IN_FLIGHT.set(self.bytes)

"""Waiting for writes: a search that carries receipts starts when its shard has applied them."""

import asyncio
from collections.abc import Callable, Sequence

from omma.identity import Receipt, Tenant
from omma.rpc.deadline import Deadline

_SEARCH_SHARE = 0.25
"""Of the remaining time, kept for the search itself."""


class ReceiptGate:
    """Wakes waiters when records are applied. Belongs to one event loop."""

    def __init__(self, version_of: Callable[[int, Tenant], int | None], owns: Callable[[int], bool]) -> None:
        """version_of: newest applied version of a tenant's picture, deletes too; None when never seen. owns: by id."""
        self._version_of = version_of
        self._owns = owns
        self._applied = asyncio.Event()

    def applied(self) -> None:
        """Records were applied: everyone who waits looks again."""
        self._applied.set()
        self._applied = asyncio.Event()

    async def wait(self, tenant: Tenant, receipts: Sequence[Receipt], deadline: Deadline) -> bool:
        """True when all that this shard owns are applied; False when three quarters of the time ran out before.

        Another tenant's picture never arrives: a guessed receipt tells nothing of it.
        """
        pending = [receipt for receipt in receipts if self._owns(receipt.image_id)]
        if not pending:
            return True
        try:
            async with asyncio.timeout(deadline.remaining_seconds() * (1 - _SEARCH_SHARE)):
                while True:
                    applied = self._applied
                    pending = [receipt for receipt in pending if not self._is_applied(tenant, receipt)]
                    if not pending:
                        return True
                    await applied.wait()
        except TimeoutError:
            return False

    def _is_applied(self, tenant: Tenant, receipt: Receipt) -> bool:
        version = self._version_of(receipt.image_id, tenant)
        return version is not None and version >= receipt.version

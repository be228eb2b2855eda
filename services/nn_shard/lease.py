"""A lease of the catalog, kept while work is done under it: of all replicas one trains, of a shard's one snapshots."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from omma.catalog.interface import Catalog
from omma.errors import OmmaError

T = TypeVar("T")

logger = logging.getLogger(__name__)


class LeaseLost(Exception):
    """It went to another holder, or could not be renewed before it ended: the work under it was stopped."""


class Lease:
    """One holder's side of a lease. The clock here only decides to stop early: the catalog's decides who holds it."""

    def __init__(
        self,
        catalog: Catalog,
        name: str,
        holder: str,
        ttl_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """holder: unique among all who may want it. ttl_seconds: a holder that dies is replaced after it."""
        self._catalog = catalog
        self.name = name
        self._holder = holder
        self._ttl_seconds = ttl_seconds
        self._now = now
        self._ends_at = 0.0

    async def acquire(self) -> bool:
        """True when it is this holder's now, for another ttl_seconds."""
        asked_at = self._now()
        held = await self._catalog.acquire_lease(self.name, self._holder, self._ttl_seconds)
        self._ends_at = asked_at + self._ttl_seconds if held else 0.0
        return held

    async def release(self) -> None:
        """Let the next one have it at once; while the catalog is away it ends by itself, since an error here would take
        a cancellation's place.
        """
        self._ends_at = 0.0
        try:
            await self._catalog.release_lease(self.name, self._holder)
        except OmmaError as error:
            logger.warning("The lease %s is not given back and ends by itself: %s", self.name, error.detail)

    async def release_if_held(self) -> None:
        """As release, without a call to the catalog when there is nothing to release."""
        if self._ends_at:
            await self.release()

    def require(self) -> None:
        """Raises LeaseLost. Before each step that another holder must not see done: no await lies between."""
        if self._now() >= self._ends_at:
            raise LeaseLost(f"the lease {self.name!r} was lost.")

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """After `acquire`: do the work and renew beside it. Raises LeaseLost, the work cancelled, and what it raises.

        A catalog that cannot be reached is tried again until the lease would have ended. Whoever was stopped for longer
        than that has lost it, even if nobody else took it: another holder may have come and gone meanwhile.
        """
        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._ttl_seconds / 3)
                if done:
                    return task.result()
                self.require()
                await self._renew()
                self.require()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _renew(self) -> None:
        try:
            await self.acquire()
        except OmmaError as error:
            logger.warning("The lease %s is not renewed yet: %s", self.name, error.detail)

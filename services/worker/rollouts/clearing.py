"""What a retired index leaves behind, and the last one of a space with it."""

import asyncio
import logging
import time
from collections.abc import Callable, Set
from typing import Final

from omma.backlog import indexer_group
from omma.blobs.interface import Blobs, of_space
from omma.index import Index, IndexId, IndexState, codebook_key
from omma.persistence import keep_running
from omma.rollouts.clearing import LEASE_SECONDS, lease_of
from omma.space import Space
from omma.storage import Storage

_PATIENCE_SECONDS: Final = 15.0
"""Until whoever served it has seen that it is retired, and writes no more."""
_RETRY_SECONDS: Final = 5.0
_FORGOTTEN_AT_ONCE: Final = 10_000

logger = logging.getLogger(__name__)


class Clearer:
    """Looks for indexes that are retired. Several workers may: each step may be taken twice."""

    def __init__(
        self, storage: Storage, holder: str, *, every_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """holder: of the lease that keeps a rollout from beginning in a space that is being cleared."""
        self._storage = storage
        self._holder = holder
        self._every_seconds = every_seconds
        self._now = now
        self._seen_at: dict[IndexId, float] = {}
        self._cleared: set[IndexId] = set()

    async def run(self) -> None:
        """Until cancelled."""
        await keep_running("clearing", self._look_again_and_again, _RETRY_SECONDS)

    async def _look_again_and_again(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._every_seconds)

    async def look(self) -> None:
        """Once."""
        routing = await self._storage.catalog.routing()
        for index in routing.indexes:
            if index.state is not IndexState.RETIRED or index.id in self._cleared:
                continue
            seen_at = self._seen_at.setdefault(index.id, self._now())
            kept = {one.codebook for one in routing.indexes if one.state is not IndexState.RETIRED}
            if self._now() - seen_at >= _PATIENCE_SECONDS and await self._clear(index, kept):
                self._cleared.add(index.id)
                logger.info("what index %s had is cleared", index.id)

    async def _clear(self, index: Index, kept: Set[str | None]) -> bool:
        """kept: codebooks that others use. False when something of it is still in use."""
        blobs = self._storage.blobs
        if index.codebook is not None and index.codebook not in kept:
            await blobs.delete(codebook_key(index.codebook))
        await _delete(blobs, f"snapshots/{index.id}/")
        space = next(one for one in await self._storage.catalog.spaces() if one.id == index.space)
        return await self._clear_space(space)

    async def _clear_space(self, space: Space) -> bool:
        catalog, log = self._storage.catalog, self._storage.log
        if not await catalog.acquire_lease(lease_of(space.id), self._holder, LEASE_SECONDS):
            return False
        try:
            async with asyncio.timeout(LEASE_SECONDS / 2):
                routing = await catalog.routing()
                if any(one.space == space.id and one.state is not IndexState.RETIRED for one in routing.indexes):
                    return True
                if not await log.delete_group(indexer_group(space.id)):
                    return False
                await log.delete_topic(space.vectors_topic)
                await _delete(self._storage.blobs, of_space(space.id))
                while await catalog.forget_space(space.id, _FORGOTTEN_AT_ONCE) == _FORGOTTEN_AT_ONCE:
                    pass
        finally:
            await catalog.release_lease(lease_of(space.id), self._holder)
        return True


async def _delete(blobs: Blobs, prefix: str) -> None:
    async for key in blobs.keys(prefix):
        await blobs.delete(key)

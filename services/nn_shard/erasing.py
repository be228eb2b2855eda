"""Erased pictures leave this replica's disk: one order at a time, beside searches, asked about until it is done."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from omma.errors import Overloaded, causes, unforeseen
from omma.identity import ImageId
from services.nn_shard.lease import LeaseLost

_WAITING: Final = 8
_REMEMBERED: Final = 64

logger = logging.getLogger(__name__)


class Erasing:
    """Orders by their token, whoever asks again for one. What fails is forgotten, and begun anew by who asks next."""

    def __init__(self, erase: Callable[[Sequence[ImageId]], Awaitable[bool]]) -> None:
        """erase: does it; False where it cannot be done yet."""
        self._erase = erase
        self._waiting: dict[str, Sequence[ImageId]] = {}
        self._woken = asyncio.Event()
        self._done: dict[str, None] = {}

    def done(self, token: str, image_ids: Sequence[ImageId]) -> bool:
        """Whether nothing of these pictures lies on the disk, as of some moment after the token was first heard of.

        Raises Overloaded with too many orders.
        """
        if token in self._done:
            return True
        if token not in self._waiting:
            if len(self._waiting) >= _WAITING:
                raise Overloaded(f"{_WAITING} erasures wait already.", limit=_WAITING, retry_after_seconds=1.0)
            self._waiting[token] = image_ids
            self._woken.set()
        return False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                token = next(iter(self._waiting))
                if await self._tried(self._waiting[token]):
                    self._done[token] = None
                    while len(self._done) > _REMEMBERED:
                        del self._done[next(iter(self._done))]
                del self._waiting[token]

    async def _tried(self, image_ids: Sequence[ImageId]) -> bool:
        try:
            return await self._erase(image_ids)
        except Exception as error:
            extra = {"pictures": len(image_ids), "reason": causes(error)}
            logger.warning("pictures are not erased yet", extra=extra, exc_info=unforeseen(error, LeaseLost))
            return False

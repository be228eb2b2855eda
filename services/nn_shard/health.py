"""Whether a replica may be asked, and whether it gets on: what probes ask, and what waits for either."""

import asyncio
from typing import Final

from services.nn_shard.supervision import UNEXPECTED

_STUCK_AFTER: Final = 3


class Health:
    """Belongs to one event loop.

    ready: see Replica.ready. waits_for_sealing: reading goes on only once something was sealed.
    """

    def __init__(self) -> None:
        self._ready = False
        self._waits_for_sealing = False
        self._failures = {"reading": 0, "sealing": 0}
        self._turned = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._ready

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._ready = ready
        self._turn()

    @property
    def waits_for_sealing(self) -> bool:
        return self._waits_for_sealing

    @waits_for_sealing.setter
    def waits_for_sealing(self, waits: bool) -> None:
        self._waits_for_sealing = waits
        self._turn()

    @property
    def healthy(self) -> bool:
        """Ready, and neither reading, nor the sealing that it waits for, failed again and again of a bug."""
        sealing_fails = self._waits_for_sealing and self._failures["sealing"] >= _STUCK_AFTER
        return self._ready and self._failures["reading"] < _STUCK_AFTER and not sealing_fails

    def failed(self, part: str, reason: str) -> None:
        """Reading or sealing failed; of what is no bug it counts for nothing."""
        if reason == UNEXPECTED:
            self._count(part, self._failures[part] + 1)

    def succeeded(self, part: str) -> None:
        self._count(part, 0)

    async def until_ready(self, ready: bool) -> None:
        while self.ready is not ready:
            await self._turned.wait()

    async def until_healthy(self, healthy: bool) -> None:
        while self.healthy is not healthy:
            await self._turned.wait()

    def _count(self, part: str, failures: int) -> None:
        if self._failures[part] != failures:
            self._failures[part] = failures
            self._turn()

    def _turn(self) -> None:
        """Whoever waits looks again."""
        self._turned.set()
        self._turned = asyncio.Event()

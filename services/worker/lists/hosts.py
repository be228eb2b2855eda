"""How much is asked of one host at once, and when it is left alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from omma.fetching import Unfetched, Why
from services.worker.lists.settings import UrlSettings

T = TypeVar("T")

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_OF_THE_HOST = frozenset({Why.UNREACHABLE, Why.BROKEN_ANSWER, Why.TOO_SLOW, Why.UNKNOWN_HOST})


class GivenUp(Exception):
    """The host failed too often."""


def may_pass(error: Unfetched) -> bool:
    """Another try may go better: it is the host's fault of this moment, not the picture's."""
    return error.why in _OF_THE_HOST or error.status in _BUSY


class Host:
    """A circuit breaker: after failures in a row nobody asks for a while, then one does, and the others wait for what
    that gives. For one event loop.
    """

    def __init__(
        self,
        settings: UrlSettings,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._now = now
        self._sleep = sleep
        self._places = asyncio.Semaphore(settings.by_host)
        self._one = asyncio.Lock()
        self._failures = 0
        self._rests = 0
        self._resting_until = float("-inf")
        self._rested_at = float("-inf")
        """When it was last found to fail; what began before says nothing new."""
        self._given_up = False

    async def ask(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What the attempt gives, in its turn. Raises what it raises, GivenUp."""
        async with self._places:
            if not self._is_failing():
                return await self._counted(attempt)
            async with self._one:
                if self._given_up:
                    raise GivenUp
                if self._is_failing() and (wait := self._resting_until - self._now()) > 0:
                    await self._sleep(wait)
                return await self._counted(attempt)

    def _is_failing(self) -> bool:
        return self._failures >= self._settings.host_failures

    async def _counted(self, attempt: Callable[[], Awaitable[T]]) -> T:
        began = self._now()
        try:
            given = await attempt()
        except Unfetched as error:
            if may_pass(error):
                self._failed(began)
            else:
                self._answered()
            raise
        self._answered()
        return given

    def _answered(self) -> None:
        self._failures = self._rests = 0
        self._given_up = False

    def _failed(self, began: float) -> None:
        self._failures += 1
        if not self._is_failing() or began <= self._rested_at:
            return
        if self._rests >= self._settings.host_rests:
            self._given_up = True
            return
        now = self._now()
        self._rested_at = now
        self._resting_until = now + self._settings.host_rest_seconds * 2**self._rests
        self._rests += 1

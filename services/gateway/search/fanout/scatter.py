"""Races side by side, on one timer, until each has ended or the deadline has come."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from omma.rpc.deadline import Deadline
from services.gateway.search.fanout.race import Race


async def scatter(races: Sequence[Race[Any]], deadline: Deadline, clock: Callable[[], float]) -> None:
    """Returns when every race has ended: at the deadline the rest have OutOfTime. Cancelled, it leaves no call behind.

    A fault in one race never ends another. One timer serves them all, and a race makes a task only for a call.
    """
    await _Scatter(races, deadline, clock).run()


class _Scatter:
    """Once `run` has returned nothing in it points back to it, so races and their answers go without the collector.

    Functions inside a function that name themselves would keep them until the next full collection: megabytes.
    """

    __slots__ = ("_clock", "_deadline", "_finished", "_left", "_loop", "_races", "_timer")

    def __init__(self, races: Sequence[Race[Any]], deadline: Deadline, clock: Callable[[], float]) -> None:
        self._races = races
        self._deadline = deadline
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._left = len(races)
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        try:
            for race in self._races:
                race.start(self._settled)
            if self._left:
                self._look_later()
                await self._finished
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            for race in self._races:
                race.abandon()

    def _settled(self) -> None:
        self._left -= 1
        if not self._left and not self._finished.done():
            self._finished.set_result(None)

    def _look(self) -> None:
        now = self._clock()
        seconds_left = self._deadline.remaining_seconds()
        for race in self._races:
            if not seconds_left:
                race.expire()
            elif race.look_at <= now:
                race.look()
        if self._left:
            self._look_later()

    def _look_later(self) -> None:
        due = min(race.look_at for race in self._races) - self._clock()
        self._timer = self._loop.call_later(max(0.0, min(self._deadline.remaining_seconds(), due)), self._look)

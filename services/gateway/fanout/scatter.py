"""Races side by side, on one timer, until each has ended or the deadline has come."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from omma.rpc.deadline import Deadline
from services.gateway.fanout.race import Race


async def scatter(races: Sequence[Race[Any]], deadline: Deadline, clock: Callable[[], float]) -> None:
    """Returns when every race has ended: at the deadline the rest have OutOfTime. Cancelled, it leaves no call behind.

    A fault in one race never ends another. One timer serves them all, and a race makes a task only for a call.
    """
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    left = len(races)
    timer: asyncio.TimerHandle | None = None

    def settled() -> None:
        nonlocal left
        left -= 1
        if not left and not finished.done():
            finished.set_result(None)

    def look() -> None:
        nonlocal timer
        now = clock()
        seconds_left = deadline.remaining_seconds()
        for race in races:
            if not seconds_left:
                race.expire()
            elif race.look_at <= now:
                race.look()
        if left:
            timer = loop.call_later(_until_next(), look)

    def _until_next() -> float:
        return max(0.0, min(deadline.remaining_seconds(), min(race.look_at for race in races) - clock()))

    try:
        for race in races:
            race.start(settled)
        if left:
            timer = loop.call_later(_until_next(), look)
            await finished
    finally:
        if timer is not None:
            timer.cancel()
        for race in races:
            race.abandon()

"""Waiting for what sets no event: another process, a server, a count.

What `look` answers is asked for at once and then every so often, and returned once it is true. `TimeoutError` when that
takes longer than `seconds`.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float, failed: str = "") -> T:
    """Blocks this thread. failed: what the error says."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(failed)
        time.sleep(0.1)
    return found


async def eventually(look: Callable[[], T | Awaitable[T]], seconds: float) -> T:
    """The loop goes on meanwhile; a look that is awaited is cut off too."""
    async with asyncio.timeout(seconds):
        while not (found := await _answer(look())):  # noqa: ASYNC110  nothing sets an event
            await asyncio.sleep(0.01)
    return found


async def _answer(answer: T | Awaitable[T]) -> T:
    return await answer if inspect.isawaitable(answer) else answer

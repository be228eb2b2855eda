"""An event loop whose clock a test moves: what waits for a time waits for the test."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SteppedLoop(asyncio.SelectorEventLoop):
    """Never lets it become idle: between two steps a test gives turns."""

    def __init__(self) -> None:
        super().__init__()
        self.now_seconds = 0.0

    def time(self) -> float:
        return self.now_seconds


def stepped_loop() -> SteppedLoop:
    """The running one."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    return loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine on a loop of its own whose clock stands still."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(work)


async def turns(count: int = 6) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def step(seconds: float) -> None:
    """Move the clock on, and let what was due run."""
    stepped_loop().now_seconds += seconds
    await turns()

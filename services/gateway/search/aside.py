"""What is asked beside the answers that callers wait for: a sample, so many at once, none while they need the place."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Aside:
    """Belongs to one event loop."""

    def __init__(
        self, name: str, busy: Callable[[], bool], *, sampled: float, at_once: int, draw: Callable[[], float]
    ) -> None:
        """name: of its tasks. busy: whether callers need what there is. sampled: 0 … 1. draw: 0 … 1, of each."""
        self._name = name
        self._busy = busy
        self._sampled = sampled
        self._at_once = at_once
        self._draw = draw
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], dropped: Callable[[], object]) -> None:
        """Perhaps; returns at once. dropped: told where the sample was to be asked and there was no place for it."""
        if self._draw() >= self._sampled:
            return
        if len(self._running) >= self._at_once or self._busy():
            dropped()
            return
        task = asyncio.create_task(work(), name=self._name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def run(self) -> None:
        """Until cancelled; then nothing is asked any more."""
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._running:
                task.cancel()

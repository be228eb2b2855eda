"""Starts services again that have ended, as Kubernetes does: at once, and later and later where that does not help."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from deploy.local.service import Service

_LOOK_SECONDS: Final = 0.1
_FIRST_PAUSE_SECONDS: Final = 0.2
_MAX_PAUSE_SECONDS: Final = 10.0
_SETTLED_SECONDS: Final = 20.0
"""Of running, after which an end is the first one again."""


@dataclass(slots=True, eq=False)
class _Watched:
    service: Service
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    started_at: float = 0.0
    due_at: float | None = None


class Supervisor:
    """Watches from a thread of its own inside its `with` block.

    A service that is stopped by a signal (SIGSTOP) has not ended, and stays so.
    """

    def __init__(self, services: Sequence[Service]) -> None:
        self.restarts: Counter[str] = Counter()
        """By the service's name."""
        self._watched = [_Watched(one) for one in services]
        self._held: set[str] = set()
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def watch(self, service: Service) -> None:
        """From now on this one, too."""
        with self._turn:
            self._watched.append(_Watched(service))

    def forget(self, service: Service) -> None:
        """From now on nobody starts it again."""
        with self._turn:
            self._watched = [one for one in self._watched if one.service is not service]

    @contextmanager
    def left_alone(self, *services: Service) -> Iterator[None]:
        """Inside, these stay down once they have ended; afterwards they are started again at once."""
        names = [one.name for one in services]
        for name in names:
            self.hold(name)
        try:
            yield
        finally:
            for name in names:
                self.release(name)

    def hold(self, name: str) -> None:
        """From now on this one stays down once it has ended."""
        with self._turn:
            self._held.add(name)

    def release(self, name: str) -> None:
        """Afterwards it is started again, at once if it has ended."""
        with self._turn:
            self._held.discard(name)
            for one in self._watched:
                if one.service.name == name:
                    one.pause_seconds, one.due_at = _FIRST_PAUSE_SECONDS, None

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for one in self._watched:
                with self._turn:
                    # It may have been forgotten since.
                    if one in self._watched and one.service.name not in self._held:
                        self._look(one, time.monotonic())

    def _look(self, one: _Watched, now: float) -> None:
        if one.service.server.running():
            return
        if one.due_at is None:
            if now - one.started_at > _SETTLED_SECONDS:
                one.pause_seconds = _FIRST_PAUSE_SECONDS
            one.due_at = now + one.pause_seconds
        if now >= one.due_at:
            one.service.server.restart(wait=False)
            self.restarts[one.service.name] += 1
            one.started_at, one.due_at = now, None
            one.pause_seconds = min(2 * one.pause_seconds, _MAX_PAUSE_SECONDS)

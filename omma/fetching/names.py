"""Host names to addresses, on threads of their own: a name server that hangs takes no other work with it."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol

from omma.errors import Overloaded

_THREADS: Final = 8
_AT_ONCE: Final = 64
_RETRY_SECONDS: Final = 1.0


class Resolve(Protocol):
    """Host and port to addresses, as text. Raises OSError for a name that is unknown, Overloaded."""

    async def __call__(self, host: str, port: int) -> Sequence[str]: ...


class Names:
    """The system's resolver. getaddrinfo cannot be broken off, so what runs and waits is counted until it has ended.

    A caller that gives up takes back what has not begun.
    """

    def __init__(self, *, threads: int = _THREADS, at_once: int = _AT_ONCE) -> None:
        """at_once: names that are looked up or wait for it; one more is Overloaded."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="names")
        self._places = threading.BoundedSemaphore(at_once)
        self._at_once = at_once

    async def __call__(self, host: str, port: int) -> list[str]:
        """See Resolve."""
        if not self._places.acquire(blocking=False):
            limit = self._at_once
            raise Overloaded(
                f"{limit} host names are being looked up.",
                limit=limit,
                retry_after_seconds=_RETRY_SECONDS,
            )
        looking: Future[list[Any]] = self._executor.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        looking.add_done_callback(lambda _: self._places.release())
        return [str(address[4][0]) for address in await asyncio.wrap_future(looking)]

    def close(self) -> None:
        """Waits for nothing."""
        self._executor.shutdown(wait=False, cancel_futures=True)

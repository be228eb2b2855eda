"""Blocking calls that may never return: of files on a share whose server is away."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, ParamSpec, TypeVar, cast

from omma.errors import OutOfTime, Overloaded

P = ParamSpec("P")
T = TypeVar("T")

_RETRY_SECONDS: Final = 10.0


class BlockingCalls:
    """Each call has a thread of its own that nothing waits for: not a caller who is cancelled, and not the end of the
    process, as with the threads of an executor. Belongs to one event loop.
    """

    def __init__(self, name: str, *, at_once: int, left_behind: int) -> None:
        """at_once: further ones wait. left_behind: calls given up by their callers that still hang; with so many,
        further ones are refused.
        """
        self._name = name
        self._places = asyncio.Semaphore(at_once)
        self._max_left = left_behind
        self._left = 0

    async def run(self, seconds: float | None, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises, in this context. seconds: then it is given up; None: never.

        Raises OutOfTime; Overloaded when too many hang.
        """
        async with self._places:
            if self._left >= self._max_left:
                raise Overloaded(
                    f"{self._left} reads of files hang: a disk or a share of this machine does not answer.",
                    limit=self._max_left,
                    retry_after_seconds=_RETRY_SECONDS,
                )
            call = _Call(lambda: function(*args, **kwargs))
            threading.Thread(target=call.work, name=self._name, daemon=True).start()
            try:
                async with asyncio.timeout(seconds):
                    return await call.outcome
            except TimeoutError:
                if call.outcome.done() and not call.outcome.cancelled():
                    raise  # the function's own
                raise OutOfTime(
                    f"A file could not be read within {seconds:g} s: its disk or share does not answer."
                ) from None
            finally:
                if not call.ended:
                    self._left += 1
                    call.at_end = self._back

    def _back(self) -> None:
        self._left -= 1


class _Call(Generic[T]):
    """One call: its outcome, for who still waits."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[T] = self._loop.create_future()
        self.ended = False
        self.at_end: Callable[[], None] = lambda: None

    def work(self) -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = self._context.run(self._function)
        except BaseException as raised:  # noqa: BLE001  the caller's, whatever it is
            error = raised
        with suppress(RuntimeError):  # the loop has ended, and whoever waited with it
            self._loop.call_soon_threadsafe(self._end, result, error)

    def _end(self, result: T | None, error: BaseException | None) -> None:
        self.ended = True
        self.at_end()
        if self.outcome.done():
            return
        if error is None:
            self.outcome.set_result(cast(T, result))
        else:
            self.outcome.set_exception(error)

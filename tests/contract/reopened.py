"""What a contract is tested on: a backend that can be left and opened again."""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar


class Closed(Protocol):
    async def close(self) -> None: ...


Opened = TypeVar("Opened", bound=Closed)


class Reopened(Generic[Opened]):
    """Everything opened is closed with the test."""

    def __init__(self, open_one: Callable[[], Awaitable[Opened]]) -> None:
        self._open_one = open_one
        self.opened: list[Opened] = []

    async def open(self) -> Opened:
        self.opened.append(await self._open_one())
        return self.opened[-1]

    async def close(self) -> None:
        for one in self.opened:
            await one.close()

"""Connections of the catalog, with the driver's errors turned into errors with a kind."""

import asyncio
import functools
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from sqlalchemy import BigInteger, ColumnElement, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from omma.catalog.dialect import Dialect
from omma.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

_TRIES: Final = 4
"""Of a transaction that the database undid because it crossed with another one."""
_PAUSE_SECONDS: Final = 0.02


class Crossed(Overloaded):
    """The database undid the transaction in favour of another one: the same again is safe, and likely to work."""


class Database:
    """read, snapshot and write: one pool with three isolations where the database itself orders writers, as PostgreSQL
    does.

    clock: seconds since 1970; None: the process's, and for what several processes compare, the database's.
    """

    def __init__(
        self,
        read: AsyncEngine,
        snapshot: AsyncEngine,
        write: AsyncEngine,
        dialect: Dialect,
        clock: Callable[[], float] | None,
    ) -> None:
        self._read = read
        self._snapshot = snapshot
        self._write = write
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()
        self.dialect = dialect

    def now_ms(self) -> int:
        return int((self._clock or time.time)() * 1000)

    def shared_now_ms(self) -> ColumnElement[int]:
        """The time that leases are compared by: one clock for every process."""
        if self._clock is None:
            return self.dialect.now_ms()
        return literal(self.now_ms(), BigInteger())

    def shared_ms_ago(self, seconds: float) -> ColumnElement[int]:
        """A moment of the past, by the clock of `shared_now_ms`."""
        return self.shared_now_ms() - literal(int(seconds * 1000), BigInteger())

    async def read_shared_now_ms(self, connection: AsyncConnection) -> int:
        """`shared_now_ms` as a number, for what is written to several rows."""
        return int((await connection.execute(select(self.shared_now_ms()))).scalar_one())

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """For one statement, which needs no transaction: two round trips less. Raises Overloaded when every connection
        is taken for too long, ReplicaDown when none opens.
        """
        async with self._connection(self._read) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """For several statements that see the same moment. Raises as `reading`."""
        async with self._connection(self._snapshot) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: durable when the block ends, undone when it raises."""
        async with self._connection(self._write) as connection:
            yield connection

    async def scrub(self) -> None:
        """As Dialect.scrub."""
        await self.dialect.scrub(self._write)

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; a caller that is cancelled leaves it running to its end."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """After what still runs."""
        if self._running:
            await asyncio.wait(self._running)
        await self._read.dispose()
        await self._write.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.begin() as connection:
                yield connection
        except PoolTimeout:
            raise Overloaded("The catalog has no connection left; try again.", retry_after_seconds=1.0) from None
        except Exception as error:
            # Connecting and COPY raise what the driver raises, statements what SQLAlchemy wraps around it.
            cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
            known = self.dialect.error(cause)
            if known is None:
                raise
            raise known from cause

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report what an abandoned caller missed


class OnDatabase(Protocol):
    """A part of the catalog."""

    _database: Database


S = TypeVar("S", bound=OnDatabase)


def uninterrupted(
    call: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Let a call go on when its caller is cancelled: a connection left in the midst of a statement keeps its lock.

    The call is one transaction: where the database undid it in favour of another one, it is done once more.
    """

    @functools.wraps(call)
    async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.finish(_repeated(lambda: call(self, *args, **kwargs)))

    return run


async def _repeated(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    for tried in range(1, _TRIES):
        try:
            return await call()
        except Crossed:
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * 2**tried))
    return await call()

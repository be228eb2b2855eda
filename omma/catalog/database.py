"""Connections of the catalog, with the driver's errors turned into errors with a kind."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from omma.catalog.dialect import Dialect
from omma.errors import Overloaded


class Database:
    """read and write: the same engine twice where the database itself orders writers, as PostgreSQL does."""

    def __init__(self, read: AsyncEngine, write: AsyncEngine, dialect: Dialect, clock: Callable[[], float]) -> None:
        self._read = read
        self._write = write
        self._clock = clock
        self.dialect = dialect

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot. Raises Overloaded when every connection is taken for too long."""
        async with self._connection(self._read) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: durable when the block ends, undone when it raises."""
        async with self._connection(self._write) as connection:
            yield connection

    async def close(self) -> None:
        await self._read.dispose()
        await self._write.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.begin() as connection:
                yield connection
        except PoolTimeout:
            raise Overloaded("The catalog has no connection left; try again.", retry_after_seconds=1.0) from None
        except DBAPIError as error:
            cause = error.orig
            raise (cause and self.dialect.error(cause)) or error from None

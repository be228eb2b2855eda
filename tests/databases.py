"""Databases for tests, on the session's PostgreSQL."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from deploy.parts import Postgres
from omma.catalog.schema import metadata

_numbers: Final = itertools.count()


@asynccontextmanager
async def fresh_database(server: Postgres) -> AsyncIterator[str]:
    """Its url; gone afterwards, whoever is still connected."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _tell(server.url, f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield server.database_url(name)
    finally:
        await _tell(server.url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def shared_database(server: Postgres) -> Iterator[str]:
    """Its url, for tests that empty it one after the other; also where a loop is running already."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with ThreadPoolExecutor(1) as aside:

        def run(work: Coroutine[Any, Any, None]) -> None:
            aside.submit(asyncio.run, work).result()

        run(_tell(server.url, f"CREATE DATABASE {name} TEMPLATE template0"))
        try:
            yield server.database_url(name)
        finally:
            run(_tell(server.url, f"DROP DATABASE {name} WITH (FORCE)"))


async def empty(url: str) -> None:
    """Every row of the catalog goes, and its ids begin again."""
    await _tell(url, f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")


async def _tell(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

"""A database of its own for a test, on the session's PostgreSQL."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from tests.parts import Postgres

_numbers: Final = itertools.count()


@asynccontextmanager
async def fresh_database(server: Postgres) -> AsyncIterator[str]:
    """Its url; gone afterwards, whoever is still connected."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _tell(server, f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield server.database_url(name)
    finally:
        await _tell(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _tell(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

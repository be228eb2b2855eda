"""Run by Alembic: on the connection that a caller passes, on `-x url=…`, or offline to print the SQL of a dialect."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from omma.catalog.schema import metadata

# A migration that has to wait for a lock makes every query behind it wait too.
_TIMEOUTS = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '15min'")


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    if connection.dialect.name == "postgresql":
        for statement in _TIMEOUTS:
            connection.exec_driver_sql(statement)
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_url(url: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


def _print_sql(dialect: str) -> None:
    context.configure(dialect_name=dialect, target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _print_sql(context.get_x_argument(as_dictionary=True).get("dialect", "postgresql"))
elif (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    asyncio.run(_migrate_url(context.get_x_argument(as_dictionary=True)["url"]))

"""Interactions on PostgreSQL: a partition a day, made before it is needed and dropped whole."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ARRAY, Text, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.schema.people import DAY_MS

_DAYS: Final = 0x64617973
"""The advisory lock of whoever makes or drops days: "days" in ASCII."""
_EPOCH: Final = date(1970, 1, 1)
# to_regclass, asked again in one transaction, does not see what another one has made since.
_MISSING: Final = text(
    "SELECT name FROM unnest(:names) AS name "
    "WHERE NOT EXISTS (SELECT FROM pg_class WHERE relname = name AND pg_table_is_visible(oid))"
).bindparams(bindparam("names", type_=ARRAY(Text())))
_MADE: Final = text(
    "SELECT part.relname FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid "
    "WHERE inhparent = to_regclass('interactions') ORDER BY part.relname"
)


async def make(connection: AsyncConnection, days: Sequence[int]) -> None:
    """Partitions for these days since 1970, in the connection's transaction; other writers go on meanwhile."""
    names = {_name(day): day for day in sorted(set(days))}
    if not (await connection.execute(_MISSING, {"names": list(names)})).first():
        return
    await connection.execute(select(func.pg_advisory_xact_lock(_DAYS)))
    for name in (await connection.execute(_MISSING, {"names": list(names)})).scalars().all():
        # PARTITION OF would lock out every reader and writer of the table; ATTACH does not.
        await connection.execute(text(f"CREATE TABLE {name} (LIKE interactions INCLUDING ALL)"))
        bounds = f"FROM ({names[name] * DAY_MS}) TO ({(names[name] + 1) * DAY_MS})"
        await connection.execute(text(f"ALTER TABLE interactions ATTACH PARTITION {name} FOR VALUES {bounds}"))


async def drop(connection: AsyncConnection, before: int) -> None:
    """Drop the partitions of days before this one: readers and writers wait for the moment that it takes."""
    await connection.execute(select(func.pg_advisory_xact_lock(_DAYS)))
    for name in (await connection.execute(_MADE)).scalars().all():
        if name < _name(before):
            await connection.execute(text(f"DROP TABLE {name}"))


def _name(day: int) -> str:
    return f"interactions_{_EPOCH + timedelta(days=day):%Y%m%d}"

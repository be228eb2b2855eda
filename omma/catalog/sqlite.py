"""The catalog on SQLite: its dialect, and how a file is opened."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Table,
    and_,
    cast,
    delete,
    event,
    func,
    insert,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from omma.catalog.database import Database
from omma.catalog.dialect import Bounds, Dialect
from omma.catalog.interface import Catalog
from omma.catalog.migrate import upgrade
from omma.catalog.schema.people import DAY_MS, interactions
from omma.catalog.sql import SqlCatalog
from omma.description import RowLimits
from omma.errors import OmmaError, Overloaded
from omma.filters import Value
from omma.sqlite_errors import BUSY_TIMEOUT_SECONDS, storage_error

_READERS: Final = 4
_NUMBERS: Final = ("integer", "real")
_DROPPED_AT_ONCE: Final = 10_000


class SqliteDialect(Dialect):
    def insert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def among(self, column: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        given = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(given.c.value))

    def any_tag(self, tags: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        tag = func.json_each(tags).table_valued("value", name="tag")
        return select(literal(1)).select_from(tag).where(self.among(tag.c.value, values)).exists()

    def attribute_among(
        self, attributes: ColumnElement[Any], name: str, values: Sequence[Value]
    ) -> ColumnElement[bool]:
        member = func.json_each(attributes).table_valued("key", "value", "type", name="member")
        flags = tuple({True: "true", False: "false"}[value] for value in values if isinstance(value, bool))
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if not isinstance(value, bool | str)]
        wanted = or_(
            member.c.type.in_(flags),
            and_(member.c.type == "text", self.among(member.c.value, texts)),
            and_(member.c.type.in_(_NUMBERS), self.among(_float64(member.c.value), numbers)),
        )
        return select(literal(1)).select_from(member).where(member.c.key == name, wanted).exists()

    def attribute_between(self, attributes: ColumnElement[Any], name: str, bounds: Bounds) -> ColumnElement[bool]:
        member = func.json_each(attributes).table_valued("key", "value", "type", name="member")
        number = _float64(member.c.value)
        # A number that float64 has not is infinite here, and within no bounds.
        finite = and_(number > -math.inf, number < math.inf)
        within = and_(member.c.key == name, member.c.type.in_(_NUMBERS), finite, bounds(number))
        return select(literal(1)).select_from(member).where(within).exists()

    def any_id(self, ids: ColumnElement[Any], values: Sequence[int]) -> ColumnElement[bool]:
        given = func.json_each(func.coalesce(ids, "[]")).table_valued("value", name="given")
        return select(literal(1)).select_from(given).where(self.among(given.c.value, values)).exists()

    async def append(self, connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        await connection.execute(insert(table), list(rows))

    async def make_days(self, connection: AsyncConnection, days: Sequence[int]) -> None:
        """Nothing to do: one table has all days."""

    async def drop_days(self, connection: AsyncConnection, before: int) -> bool:
        old = select(interactions.c.id).where(interactions.c.ts < before * DAY_MS).limit(_DROPPED_AT_ONCE)
        done = await connection.execute(delete(interactions).where(interactions.c.id.in_(old)))
        return done.rowcount == _DROPPED_AT_ONCE

    async def new_ids(self, connection: AsyncConnection, count: int) -> list[int]:
        # One writer at a time: none is given twice, and what is inserted raises the number itself.
        last = (await connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'images'"))).scalar() or 0
        return list(range(last + 1, last + 1 + count))

    async def raise_ids(self, connection: AsyncConnection, image_id: int) -> None:
        # https://sqlite.org/autoinc.html: the table may be written, and has no row before the first insert.
        known = text("SELECT 1 FROM sqlite_sequence WHERE name = 'images'")
        if (await connection.execute(known)).first() is None:
            await connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('images', 0)"))
        raised = text("UPDATE sqlite_sequence SET seq = max(seq, :id) WHERE name = 'images'")
        await connection.execute(raised, {"id": image_id})

    async def hold(self, connection: AsyncConnection, table: Table) -> None:
        """Nothing: who writes here is alone."""

    def now_ms(self) -> ColumnElement[int]:
        # julianday() counts from noon, 24 November 4714 BC: https://sqlite.org/lang_datefunc.html
        return cast((func.julianday("now") - 2440587.5) * 86_400_000, BigInteger)

    async def scrub(self, engine: AsyncEngine) -> None:
        # Deleted content is overwritten as it is deleted (secure_delete); the log of writes still holds it.
        # No transaction is begun: inside of one nothing can be emptied.
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
                busy, _, _ = await cursor.fetchone()
        if busy:
            raise Overloaded("The catalog is being read: its log cannot be emptied now.", retry_after_seconds=1.0)

    def error(self, error: BaseException) -> OmmaError | None:
        return storage_error(error, "The catalog")


def _float64(value: ColumnElement[Any]) -> ColumnElement[float]:
    """As filters compare numbers: SQLite would tell the whole number 2^53 + 1 from the float."""
    return cast(value, Double)


async def open_sqlite_catalog(
    path: Path,
    row_limits: RowLimits = RowLimits(),  # noqa: B008  frozen
    *,
    clock: Callable[[], float] = time.time,
    busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
) -> Catalog:
    """Open the catalog, making it or bringing it to this version's schema; its folder must exist.

    clock: seconds since 1970. busy_timeout_seconds: how long a write waits for another process.
    Raises Overloaded, StorageFull, Corrupt.
    """
    write = _engine(path, busy_timeout_seconds, connections=1, begin="BEGIN IMMEDIATE")
    read = _engine(path, busy_timeout_seconds, connections=_READERS, begin="BEGIN")
    database = Database(read, read, write, SqliteDialect(), clock)
    try:
        async with database.writing() as connection:
            await connection.run_sync(upgrade)
    except BaseException:
        await database.close()
        raise
    return SqlCatalog(database, row_limits)


def _engine(path: Path, busy_timeout_seconds: float, connections: int, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_seconds},
        pool_size=connections,
        max_overflow=0,
    )

    def on_connect(connection: Any, _record: object) -> None:
        # Transactions begin below, not by the driver's guess: https://docs.sqlalchemy.org/dialects/sqlite.html
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine

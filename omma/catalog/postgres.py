"""The catalog on PostgreSQL: its dialect, and how a pool of connections is opened."""

import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Numeric,
    Table,
    Text,
    any_,
    case,
    cast,
    event,
    false,
    func,
    literal,
    null,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from omma.catalog import postgres_days
from omma.catalog.database import Crossed, Database
from omma.catalog.dialect import Bounds, Dialect
from omma.catalog.interface import Catalog
from omma.catalog.migrate import upgrade
from omma.catalog.postgres_settings import PostgresSettings
from omma.catalog.schema.pictures import images
from omma.catalog.sql import SqlCatalog
from omma.description import RowLimits
from omma.errors import Corrupt, InvalidQuery, OmmaError, Overloaded, ReplicaDown, StorageFull, WrongState
from omma.filters import Value, kind_of

_NO_NUMBERS: Final = ("string", "boolean")

_LARGEST: Final = Decimal(sys.float_info.max)

# https://www.postgresql.org/docs/15/errcodes-appendix.html
_DISK_FULL: Final = "53100"
_BUSY: Final = frozenset({"55P03", "57014", "53200", "53300", "53400"})
_CROSSED: Final = frozenset({"40001", "40P01"})
_DAMAGED: Final = frozenset({"XX001", "XX002"})
_GONE: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25006", "25P03"})
_REFUSED_CLASSES: Final = ("28", "3D")
"""Not allowed in, no such database: as a process starts, a setting that is wrong …"""
_GONE_CLASSES: Final = ("08", *_REFUSED_CLASSES)
"""… and later on, or without a connection, what a server that is restarted or restored says for a while."""

_MIGRATION: Final = 0x6F6D6D61
"""The advisory lock of whoever migrates: "omma" in ASCII."""
_MIGRATION_WAIT: Final = "5s"
_GRACE_SECONDS: Final = 5.0

_FROM_DRIVER: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The last one says that a connection broke off in the midst of a statement."""


class PostgresDialect(Dialect):
    def insert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    def among(self, column: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        member = Double() if any(isinstance(value, float) for value in values) else column.type
        return column == any_(literal(list(values), ARRAY(member)))

    def any_tag(self, tags: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        return tags.bool_op("?|")(literal(list(values), ARRAY(Text())))

    def attribute_among(
        self, attributes: ColumnElement[Any], name: str, values: Sequence[Value]
    ) -> ColumnElement[bool]:
        member = cast(attributes, JSONB)[name]
        kind = func.jsonb_typeof(member)
        numbers = [float(value) for value in values if kind_of(value) == "n"]
        # A list contains a scalar as its element, but another list as its part: hence the look at the type.
        others = literal([value for value in values if kind_of(value) != "n"], JSONB)
        return case(
            (kind == "number", func.coalesce(self.among(_float64(member), numbers), false())),
            (kind.in_(_NO_NUMBERS), others.contains(member)),
            else_=false(),
        )

    def attribute_between(self, attributes: ColumnElement[Any], name: str, bounds: Bounds) -> ColumnElement[bool]:
        member = cast(attributes, JSONB)[name]
        within = func.coalesce(bounds(_float64(member)), false())
        return case((func.jsonb_typeof(member) == "number", within), else_=false())

    def any_id(self, ids: ColumnElement[Any], values: Sequence[int]) -> ColumnElement[bool]:
        return func.coalesce(ids.bool_op("&&")(literal(list(values), ARRAY(BigInteger))), false())

    async def append(self, connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        # COPY: 5,000 interactions in 30 ms, where inserting them takes 110.
        columns = list(rows[0])
        driver: Any = (await connection.get_raw_connection()).driver_connection
        records = [tuple(row[column] for column in columns) for row in rows]
        await driver.copy_records_to_table(table.name, records=records, columns=columns)

    async def make_days(self, connection: AsyncConnection, days: Sequence[int]) -> None:
        await postgres_days.make(connection, days)

    async def drop_days(self, connection: AsyncConnection, before: int) -> bool:
        await postgres_days.drop(connection, before)
        return False

    async def new_ids(self, connection: AsyncConnection, count: int) -> list[int]:
        # What an insert takes as well; whoever raises the sequence keeps inserts out.
        await connection.execute(text("LOCK TABLE images IN ROW EXCLUSIVE MODE"))
        new = text("SELECT nextval('images_id_seq') FROM generate_series(1, :count)")
        return list((await connection.execute(new, {"count": count})).scalars())

    async def raise_ids(self, connection: AsyncConnection, image_id: int) -> None:
        # No insert may take a number between our look and our change.
        await self.hold(connection, images)
        raised = text("SELECT setval('images_id_seq', greatest(last_value, :id)) FROM images_id_seq")
        await connection.execute(raised, {"id": image_id})

    async def hold(self, connection: AsyncConnection, table: Table) -> None:
        await connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))

    def now_ms(self) -> ColumnElement[int]:
        return func.floor(func.extract("epoch", func.clock_timestamp()) * 1000).cast(BigInteger)

    async def scrub(self, engine: AsyncEngine) -> None:
        """Nothing: its own vacuum overwrites what is free, and whoever runs it keeps or drops its log."""

    def error(self, error: BaseException) -> OmmaError | None:
        """error: the driver's, or what SQLAlchemy made of it with the driver's as its cause."""
        driver = _driver_error(error)
        state = getattr(driver, "sqlstate", None) or ""
        if isinstance(driver, asyncpg.exceptions.OutdatedSchemaCacheError | asyncpg.InvalidCachedStatementError):
            return Crossed("The catalog was migrated meanwhile. Nothing was written; try again.")
        if isinstance(driver, asyncpg.DataError):
            return InvalidQuery("PostgreSQL cannot keep this value: a text with a NUL, half a character, or too large.")
        if isinstance(driver, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError):
            return _gone()
        if state in _CROSSED:
            return Crossed("The catalog is busy. Nothing was written; try again.", retry_after_seconds=1.0)
        if state in _BUSY:
            return Overloaded("The catalog is busy. Nothing was written; try again.", retry_after_seconds=1.0)
        if state == _DISK_FULL:
            return StorageFull("The catalog cannot grow: its disk is full. Nothing was written.")
        if state in _DAMAGED:
            return Corrupt(f"The catalog is damaged: {driver}. Restore it from a backup.")
        if state in _GONE or state[:2] in _GONE_CLASSES:
            return _gone()
        return None


def _float64(number: ColumnElement[Any]) -> ColumnElement[float]:
    """As filters compare numbers; null for one that float64 has not, where a cast would be an error."""
    exact = cast(number.astext, Numeric)
    return case((func.abs(exact) <= literal(_LARGEST, Numeric), cast(exact, Double)), else_=null())


async def open_postgres_catalog(
    settings: PostgresSettings,
    row_limits: RowLimits = RowLimits(),  # noqa: B008  frozen
    *,
    clock: Callable[[], float] | None = None,
) -> Catalog:
    """Open the catalog, making it or bringing it to this version's schema; several processes may do so at once.

    clock: seconds since 1970; None: the process's, and the server's for leases.
    Raises ReplicaDown when the server does not answer; Overloaded while another process migrates for long; WrongState
    when it knows no such database, user or password, or has another's certificate, or a newer schema that the settings
    refuse; StorageFull.
    """
    await _migrated(settings)
    pool = _engine(settings, settings.server_settings(), settings.statement_timeout_seconds)
    read = pool.execution_options(isolation_level="AUTOCOMMIT")
    snapshot = pool.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return SqlCatalog(Database(read, snapshot, pool, PostgresDialect(), clock), row_limits)


async def _migrated(settings: PostgresSettings) -> None:
    # A migration may take long: alone on a connection of its own, without the bounds of a call.
    engine = _engine(settings, {"application_name": f"{settings.application_name}-migration"[:63]}, None)
    database = Database(engine, engine, engine, PostgresDialect(), None)
    try:
        async with database.writing() as connection:
            await connection.execute(select(func.set_config("lock_timeout", _MIGRATION_WAIT, True)))
            await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION)))
            await connection.run_sync(partial(upgrade, accept_newer=settings.newer_schema == "accept"))
    except ReplicaDown as error:
        driver = _driver_error(error.__cause__)
        if (getattr(driver, "sqlstate", None) or "")[:2] in _REFUSED_CLASSES:
            raise WrongState(f"PostgreSQL does not let us in: {driver}.", field="OMMA_POSTGRES__URL") from error
        if isinstance(driver, ssl.SSLCertVerificationError):
            raise WrongState(f"PostgreSQL's certificate is refused: {driver}.", field="OMMA_POSTGRES__TLS") from error
        raise
    finally:
        await database.close()


def _engine(settings: PostgresSettings, server_settings: dict[str, Any], timeout_seconds: float | None) -> AsyncEngine:
    """timeout_seconds: of a statement. The server ends it then; one that is gone cannot, so this side does later."""
    engine = create_async_engine(
        settings.address(),
        connect_args={
            "server_settings": server_settings,
            "timeout": settings.connect_timeout_seconds,
            "command_timeout": timeout_seconds and timeout_seconds + _GRACE_SECONDS,
            "ssl": settings.ssl(),
        },
        pool_size=settings.connections,
        max_overflow=0,
        pool_timeout=settings.connection_wait_seconds,
        pool_recycle=round(settings.connection_life_seconds),
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkout", _require_open)
    return engine


def _require_open(connection: Any, _record: object, _proxy: object) -> None:
    """A connection whose server went away is replaced before it is used.

    asyncpg knows that by itself; SQLAlchemy's pool_pre_ping would ask the server, in three round trips for each call.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _driver_error(error: BaseException | None) -> BaseException | None:
    """The driver's own: SQLAlchemy gives it as the cause of what it makes of it."""
    return error.__cause__ if error is not None and isinstance(error.__cause__, _FROM_DRIVER) else error


def _gone() -> ReplicaDown:
    return ReplicaDown("The catalog does not answer; try again.", retry_after_seconds=1.0)

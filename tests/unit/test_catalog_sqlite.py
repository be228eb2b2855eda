"""The catalog on SQLite: files, failures of the disk, and that migrations make what the schema says."""

import asyncio
import io
import sqlite3
from contextlib import closing, redirect_stdout
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from omma.catalog.inbox_object import SeenObject
from omma.catalog.migrate import alembic_configuration
from omma.catalog.picture import NewPicture
from omma.catalog.postgres import PostgresDialect
from omma.catalog.schema import metadata
from omma.catalog.sql import SqlCatalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.catalog.where import where
from omma.errors import Corrupt, Kind, OmmaError, Overloaded, StorageFull
from omma.filters import parse_filter
from omma.identity import Sha256, Tenant

ANN = Tenant("ann")


def pictures(count: int, name: str = "k") -> list[NewPicture]:
    return [NewPicture(f"{name}{i}", Sha256("0" * 64), "omma:0", 1, attributes={"x": "y" * 500}) for i in range(count)]


async def test_an_id_is_never_given_again(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    (first,) = await catalog.upsert(ANN, pictures(1))
    await catalog.close()
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as database, database:
        database.execute("DELETE FROM images")
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    (second,) = await catalog.upsert(ANN, pictures(1))
    await catalog.close()
    assert second.id > first.id


async def test_a_call_goes_on_when_its_caller_goes_away(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", busy_timeout_seconds=0.05)
    for turns in range(2, 12):
        call = asyncio.create_task(catalog.upsert(ANN, pictures(1, f"{turns}-")))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await catalog.close()
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    assert (await catalog.counts())["pending"] == 10
    await catalog.close()


async def test_a_locked_catalog_is_said_to_be_locked(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    catalog = await open_sqlite_catalog(path, busy_timeout_seconds=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Overloaded, match="another process"):
            await catalog.upsert(ANN, pictures(1))
        with pytest.raises(Overloaded, match="another process"):
            await open_sqlite_catalog(path, busy_timeout_seconds=0.05)
        assert (await catalog.counts())["pending"] == 0
        other.execute("ROLLBACK")
    assert len(await catalog.upsert(ANN, pictures(1))) == 1
    await catalog.close()


async def test_a_full_disk_writes_nothing_by_halves(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    assert isinstance(catalog, SqlCatalog)
    await catalog.upsert(ANN, pictures(10))
    async with catalog._database.writing() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageFull):
        await catalog.upsert(ANN, pictures(1000, "more"))
    assert (await catalog.counts())["pending"] == 10
    async with catalog._database.writing() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10_000}")
    assert len(await catalog.upsert(ANN, pictures(1000, "more"))) == 1000
    await catalog.close()


async def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(Corrupt):
        await open_sqlite_catalog(path)


async def test_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    await (await open_sqlite_catalog(tmp_path / "catalog.db")).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
        made = inspect(connection)
        for table in metadata.sorted_tables:
            assert {column["name"] for column in made.get_columns(table.name)} == {c.name for c in table.columns}
            unique = {tuple(one["column_names"]) for one in made.get_unique_constraints(table.name)}
            wanted = {
                tuple(column.name for column in constraint.columns)
                for constraint in table.constraints
                if type(constraint).__name__ == "UniqueConstraint"
            }
            assert unique == wanted
    engine.dispose()


async def test_rows_of_the_version_before_survive(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        configuration = alembic_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0001")
    insert = "INSERT INTO interactions VALUES (7, 'ann', '', 0, 5, 1, 'click', 1700000000000, '')"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(insert)
    catalog = await open_sqlite_catalog(path)
    assert [one.displayed[0] async for one in catalog.interactions(ANN, 0, 2**62)] == [5]
    assert await catalog.follow_objects(ANN, "inbox", [SeenObject("a", "1", None)]) == []
    await catalog.close()
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "0001")
    with closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute(insert.replace("(7,", "(8,"))
    engine.dispose()


def test_migrations_print_sql_for_postgresql() -> None:
    out = io.StringIO()
    configuration = alembic_configuration()
    configuration.output_buffer = out
    with redirect_stdout(io.StringIO()):
        command.upgrade(configuration, "head", sql=True)
    sql = out.getvalue()
    for table in metadata.sorted_tables:
        assert f"CREATE TABLE {table.name} (" in sql
    for fragment in (
        "id BIGSERIAL NOT NULL",
        "phash BYTEA NOT NULL",
        "tags JSONB NOT NULL",
        "WHERE sent_version < version",
    ):
        assert fragment in sql
    schema = str(CreateTable(metadata.tables["images"]).compile(dialect=postgresql.dialect()))
    assert sorted(line.strip(" ,\t") for line in schema.splitlines() if "NOT NULL" in line) == sorted(
        line.strip(" ,\t")
        for line in sql.split("CREATE TABLE images (")[1].split(");")[0].splitlines()
        if "NOT NULL" in line
    )


def test_filters_are_sql_for_postgresql_too() -> None:
    filter = parse_filter(
        {"tags": {"in": ["a", "b"]}, "attributes.n": {"gte": 1}, "attributes.f": True, "not": {"owner": "x"}}
    )
    assert filter is not None
    sql = str(where(filter, PostgresDialect()).compile(dialect=postgresql.asyncpg.dialect()))
    for fragment in ("images.tags ?|", "jsonb_typeof", "@>", "= ANY ("):
        assert fragment in sql


@pytest.mark.parametrize(
    ("state", "kind"), [("53100", Kind.STORAGE_FULL), ("55P03", Kind.OVERLOADED), ("23505", None), (None, None)]
)
def test_errors_of_postgresql_have_kinds(state: str | None, kind: Kind | None) -> None:
    class DriverError(Exception):
        sqlstate = state

    error = PostgresDialect().error(DriverError())
    assert (error.kind if isinstance(error, OmmaError) else None) is kind

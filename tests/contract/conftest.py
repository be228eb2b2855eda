"""Catalogs and logs for the contract: a backend joins by one more parameter of its fixture."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy import parts
from omma.catalog.interface import Catalog
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.catalog.sqlite import open_sqlite_catalog
from omma.log.interface import Log
from tests.clock import Clock
from tests.contract.catalogs import AFTER_A_ROLLOUT, Backend
from tests.contract.logs import LogBackend, kafka_backend, sqlite_backend
from tests.contract.rollouts import roll_out
from tests.databases import empty, shared_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def database(postgres: parts.Postgres) -> Iterator[str]:
    with shared_database(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Backend]:
    if request.param in ("sqlite", AFTER_A_ROLLOUT):
        path = tmp_path / "catalog.db"
        backend = Backend(lambda: open_sqlite_catalog(path, clock=clock))
        if request.param == AFTER_A_ROLLOUT:
            await roll_out(await backend.open())
        yield backend
        await backend.close()
    else:
        url = request.getfixturevalue("database")
        settings = PostgresSettings(url=SecretStr(url), connections=4)
        backend = Backend(lambda: open_postgres_catalog(settings, clock=clock))
        yield backend
        await backend.close()
        await empty(url)


@pytest.fixture
async def catalog(backend: Backend, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Catalog]:
    """Each connection goes back to its pool as it has to: the pool tells in the log of one that did not."""
    yield await backend.open()
    assert [one.getMessage() for one in caplog.get_records("call") if one.name.startswith("sqlalchemy.pool")] == []


@pytest.fixture(params=["sqlite", "kafka"])
async def log_backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LogBackend]:
    on_kafka = request.param == "kafka"
    backend = kafka_backend(request.getfixturevalue("kafka")) if on_kafka else sqlite_backend(tmp_path)
    yield backend
    await backend.close()


@pytest.fixture
async def log(log_backend: LogBackend) -> Log:
    return await log_backend.open()

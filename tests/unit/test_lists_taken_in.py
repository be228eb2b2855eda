"""A list as a caller sends it: refused for what the caller may not name, and for nothing that a line says wrongly."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from omma.blobs.folder import FolderBlobs
from omma.blobs.s3_settings import S3Settings
from omma.catalog.api_key import Role
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import RowLimits
from omma.errors import NotAllowed
from omma.identity import DEFAULT_TENANT
from omma.job_kinds import INGEST_LIST, ListParameters
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs, Sources
from services.gateway.lists import Lists

CALLER = Caller(DEFAULT_TENANT, Role.TENANT_ADMIN)


async def none_waits() -> int:
    return 0


@pytest_asyncio.fixture
async def lists(tmp_path: Path) -> AsyncIterator[Lists]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    sources = Sources(folders=False, s3=S3Settings(bucket="own"), buckets=("theirs",))
    yield Lists(Jobs(catalog, sources, none_waits, 9), sources, catalog, FolderBlobs(tmp_path / "blobs"), RowLimits())
    await catalog.close()


@pytest.mark.parametrize("odd", ["s3://theirs/IMG#1.jpg", "s3://theirs/a?b.jpg", "s3://theirs", "s3:///a.jpg"])
async def test_an_object_that_is_none_fails_alone(lists: Lists, odd: str) -> None:
    job = await lists.ingest(CALLER, f"{odd}\ns3://theirs/2.jpg\n".encode(), ListParameters())
    assert job.kind == INGEST_LIST.name


@pytest.mark.parametrize("others", ["s3://own/a.jpg", "s3://else/a%23.jpg"])
async def test_a_bucket_that_is_not_named_refuses_the_list(lists: Lists, others: str) -> None:
    with pytest.raises(NotAllowed, match="Line 2"):
        await lists.ingest(CALLER, f"s3://theirs/1.jpg\n{others}\n".encode(), ListParameters())

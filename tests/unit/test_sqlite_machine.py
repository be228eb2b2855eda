"""A machine that gives SQLite no file, no room or no writes: said as what may pass, and over when it has passed."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import STATUS, OmmaError, ReplicaDown, may_pass
from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog
from omma.sqlite_errors import storage_error


@contextmanager
def no_file_left() -> Iterator[None]:
    """Whatever is open stays so; nothing else can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "name", ["IOERR", "CANTOPEN", "READONLY", "PERM", "NOMEM", "PROTOCOL", "FULL", "BUSY", "LOCKED"]
)
@pytest.mark.parametrize("extended", [0, 19])
def test_what_the_machine_does_to_a_file_may_pass(name: str, extended: int) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}") | extended << 8
    found = storage_error(error, "The catalog")
    assert isinstance(found, OmmaError) and may_pass(found)
    assert found.detail.startswith("The catalog ")


async def test_a_catalog_without_a_file_to_open_says_so_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    await (await open_sqlite_catalog(tmp_path / "catalog.db")).close()  # what it needs is imported
    with no_file_left(), pytest.raises(ReplicaDown, match="unable to open"):
        await open_sqlite_catalog(tmp_path / "catalog.db")
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    try:
        with no_file_left(), pytest.raises(ReplicaDown, match="too many files open"):
            await catalog.routing()  # its first reader connects
        assert (await catalog.routing()).indexes == ()
    finally:
        await catalog.close()


async def test_a_log_without_a_file_to_open_says_so_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    with no_file_left(), pytest.raises(ReplicaDown, match="unable to open"):
        await SqliteLog.open(tmp_path / "log.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    try:
        await log.ensure_topic(TopicSpec("t", 1))
        await (await log.producer()).send("t", 0, b"k", b"v")
        assert [record.value async for record in log.scan("t")] == [b"v"]
    finally:
        await log.close()


async def test_a_folder_that_takes_no_writes_is_not_a_bug(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").mkdir()
    with pytest.raises(ReplicaDown) as told:
        await open_sqlite_catalog(tmp_path / "catalog.db")
    assert STATUS[told.value.kind].retry

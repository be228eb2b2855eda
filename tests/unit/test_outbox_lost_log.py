"""A catalog whose log is gone: whoever finds nothing is told why."""

import logging
from pathlib import Path

import pytest

from omma.catalog.picture import NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT, Sha256
from omma.log.sqlite import SqliteLog
from omma.outbox import open_outbox


async def test_a_log_that_was_lost_is_told_and_a_new_folder_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")

    async def told(name: str) -> list[str]:
        caplog.clear()
        log = await SqliteLog.open(tmp_path / name)
        with caplog.at_level(logging.ERROR):
            outbox = await open_outbox(catalog, log)
        await outbox.send(await catalog.upsert(DEFAULT_TENANT, [NewPicture(name, Sha256("a" * 64), "omma:a", 1)]))
        await log.close()
        return caplog.messages

    try:
        assert await told("log.db") == []
        assert await told("log.db") == [], "it has topics"
        (lost,) = await told("another.db")
        assert "omma verify --repair" in lost
    finally:
        await catalog.close()

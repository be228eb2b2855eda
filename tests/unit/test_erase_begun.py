"""An erase and the job for the rest of it: never one without the other."""

import asyncio
from pathlib import Path

import pytest

from omma.catalog.api_key import Role
from omma.catalog.picture import NewPicture, PictureState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import Overloaded
from omma.identity import DEFAULT_TENANT, Sha256
from omma.job_kinds import ERASE, VERIFY
from omma.log.sqlite import SqliteLog
from omma.outbox import open_outbox
from services.gateway.callers.auth import Caller
from services.gateway.erasing import Erasing
from services.gateway.jobs import Jobs, Sources
from services.worker.erasing.attending import attend

ADMIN = Caller(DEFAULT_TENANT, Role.ADMIN)
PICTURE = NewPicture(key="one", sha256=Sha256("a" * 64), uri=f"omma:{'a' * 64}", bytes=10)


async def none_waits() -> int:
    return 0


async def test_who_is_refused_a_job_has_erased_nothing(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    try:
        (made,) = await catalog.upsert(DEFAULT_TENANT, [PICTURE])
        jobs = Jobs(catalog, Sources(folders=False), none_waits, 1)
        await jobs.start(DEFAULT_TENANT, VERIFY)
        with pytest.raises(Overloaded):
            await Erasing(catalog, await open_outbox(catalog, log), jobs).erase(ADMIN, [made.id])
        assert (await catalog.pictures([made.id]))[made.id].state is PictureState.PENDING
    finally:
        await log.close()
        await catalog.close()


async def test_an_erase_that_died_before_its_job_gets_one(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    try:
        (made,) = await catalog.upsert(DEFAULT_TENANT, [PICTURE])
        await catalog.erase(DEFAULT_TENANT, [made.id])
        woken = asyncio.Event()
        attending = asyncio.create_task(attend(catalog, woken.set, 0.01))
        async with asyncio.timeout(10):
            await woken.wait()
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        (job,) = await catalog.newest_jobs(DEFAULT_TENANT, [ERASE.name], 10)
        assert (await catalog.take_job("worker", 30, ())) == await catalog.job(DEFAULT_TENANT, job.id)
    finally:
        await catalog.close()

"""Jobs that nobody asks for come every so often, however many workers there are."""

import asyncio
from pathlib import Path

from omma.catalog.interface import Catalog
from omma.catalog.job import Job, JobState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.job_kinds import COLLECT, CollectParameters
from services.worker.jobs.schedule import Scheduled, keep_schedule
from tests.contract.catalogs import Clock

SCHEDULE = (
    Scheduled(COLLECT, CollectParameters(), 0.02),
    Scheduled(COLLECT, CollectParameters(sweep=True), 3600.0, source="sweep"),
)


async def taken(catalog: Catalog) -> list[Job]:
    """Jobs that wait now; each is done."""
    found = []
    while (job := await catalog.take_job("worker", 30, [])) is not None:
        found.append(job)
        await catalog.end_job(job.id, "worker", JobState.DONE)
    return sorted(found, key=lambda job: job.source)


async def test_of_several_workers_one_adds_a_job_each_interval(tmp_path: Path) -> None:
    clock = Clock()
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=clock)
    woken = asyncio.Queue[None]()
    workers = [asyncio.create_task(keep_schedule(catalog, SCHEDULE, lambda: woken.put_nowait(None))) for _ in range(3)]
    for _ in SCHEDULE:
        await asyncio.wait_for(woken.get(), 10)
    first = await taken(catalog)
    assert [(job.source, job.parameters["sweep"]) for job in first] == [("", False), ("sweep", True)]
    clock.seconds += 0.05
    await asyncio.wait_for(woken.get(), 10)
    assert [job.source for job in await taken(catalog)] == [""]
    # Its time is up when the clock says so, whoever is started again meanwhile.
    workers.append(asyncio.create_task(keep_schedule(catalog, SCHEDULE, lambda: woken.put_nowait(None))))
    clock.seconds += 3600
    for _ in SCHEDULE:
        await asyncio.wait_for(woken.get(), 10)
    assert [job.source for job in await taken(catalog)] == ["", "sweep"]
    assert woken.empty()
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    await catalog.close()

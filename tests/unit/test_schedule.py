"""Jobs that nobody asks for come every so often, however many workers there are."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.job import Job, JobState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import Overloaded
from omma.job_kinds import COLLECT, CollectParameters
from services.worker.jobs.schedule import Scheduled, keep_schedule
from tests.clock import Clock

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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def catalog(tmp_path: Path, clock: Clock) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=clock)
    yield catalog
    await catalog.close()


class Keeping:
    """A worker that looks whenever it is let."""

    def __init__(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks, self.looked = asyncio.Semaphore(0), asyncio.Queue[None]()
        monkeypatch.setattr("services.worker.jobs.schedule.asyncio", self)
        self.task = asyncio.create_task(keep_schedule(catalog, SCHEDULE[1:], lambda: None))

    async def sleep(self, seconds: float) -> None:
        self.looked.put_nowait(None)
        await self.looks.acquire()

    async def look(self) -> None:
        self.looks.release()
        await self.looked.get()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.mark.parametrize("fault", [Overloaded("Every connection is taken."), RuntimeError("a bug")])
async def test_a_job_that_cannot_be_added_is_added_by_the_next_look(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    add_job, refusals = catalog.add_job, 2

    async def refusing(*told: Any, **more: Any) -> Job:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise fault
        return await add_job(*told, **more)

    monkeypatch.setattr(catalog, "add_job", refusing)
    keeping = Keeping(catalog, monkeypatch)
    await keeping.looked.get()
    await keeping.look()
    assert await taken(catalog) == []
    await keeping.look()
    assert [job.source for job in await taken(catalog)] == ["sweep"]
    await keeping.look()
    assert await taken(catalog) == [], "not again before its time"
    await keeping.stop()


async def test_who_dies_before_the_job_is_there_costs_a_minute_and_no_interval(
    catalog: Catalog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        dying = asyncio.Event()

        async def never(*told: Any, **more: Any) -> Job:
            dying.set()
            await asyncio.Event().wait()
            raise AssertionError

        patched.setattr(catalog, "add_job", never)
        dead = Keeping(catalog, patched)
        await dying.wait()
        await dead.stop()
    keeping = Keeping(catalog, monkeypatch)
    await keeping.looked.get()
    assert await taken(catalog) == [], "it may be at it still"
    clock.seconds += 61
    await keeping.look()
    assert [job.source for job in await taken(catalog)] == ["sweep"]
    for seconds, sources in ((61, []), (3_500, []), (61, ["sweep"])):
        clock.seconds += seconds
        await keeping.look()
        assert [job.source for job in await taken(catalog)] == sources
    await keeping.stop()


async def test_of_several_workers_one_adds_a_job_each_interval(catalog: Catalog, clock: Clock) -> None:
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

"""Who runs the catalog's jobs: one at a time, taken over, handed back, cancelled, tried again."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.s3_settings import S3Settings
from omma.catalog.api_key import Role
from omma.catalog.interface import Catalog
from omma.catalog.job import Job, JobState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import RowLimits
from omma.errors import Absent, InvalidQuery, NotAllowed, ReplicaDown
from omma.identity import DEFAULT_TENANT, Tenant
from omma.job_kinds import VERIFY, IngestParameters, VerifyParameters
from omma.log.sqlite import SqliteLog
from omma.outbox import open_outbox
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs, Sources
from services.worker.ingest.folder import FolderIngest
from services.worker.ingest.pace import Pace
from services.worker.ingest.walk import count_pictures
from services.worker.jobs.ingest import IngestWork
from services.worker.jobs.progress import Progress
from services.worker.jobs.runner import JobRunner, Work
from services.worker.settings import WorkerSettings
from tests.waiting import eventually

SETTINGS = WorkerSettings(job_keep_seconds=0.05, job_poll_seconds=0.05, job_lease_seconds=1, retry_seconds=0.01)
SOURCE = "s3://b/p"
ADMIN = Caller(DEFAULT_TENANT, Role.ADMIN)
TENANT_ADMIN = Caller(DEFAULT_TENANT, Role.TENANT_ADMIN)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    yield catalog
    await catalog.close()


class Counting:
    """Counts to five, a number whenever it is let; fails as it is told."""

    def __init__(self, *errors: Exception, steps: int = 99) -> None:
        self.errors = list(errors)
        self.steps = asyncio.Semaphore(steps)
        self.began_at: list[str] = []

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        self.began_at.append(progress.cursor)
        if self.errors:
            raise self.errors.pop(0)
        for number in range(int(progress.cursor or 0) + 1, 6):
            await self.steps.acquire()
            progress.counts["looked_at"] += 1
            progress.cursor = str(number)
        return {"counted": 5}


async def reached(catalog: Catalog, job: Job, fits: Callable[[Job], bool]) -> Job:
    """The job, once it fits."""

    async def looked() -> Job | None:
        found = await catalog.job(DEFAULT_TENANT, job.id)
        return found if fits(found) else None

    found = await eventually(looked, 10)
    assert found is not None
    return found


def ended(job: Job) -> bool:
    return job.finished_at_ms is not None


class Running:
    """A runner beside the block."""

    def __init__(self, catalog: Catalog, ingest: Work, holder: str = "one") -> None:
        self.runner = JobRunner(catalog, holder, SETTINGS, {"ingest": ingest})

    async def __aenter__(self) -> JobRunner:
        self.task = asyncio.create_task(self.runner.run())
        return self.runner

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def test_a_job_is_run_and_its_progress_can_be_read(catalog: Catalog) -> None:
    job = await catalog.add_job(DEFAULT_TENANT, "ingest", SOURCE, {}, 9)
    ingest = Counting(steps=2)
    async with Running(catalog, ingest):
        half = await reached(catalog, job, lambda one: one.cursor == "2")
        assert (half.state, half.counts["looked_at"]) == (JobState.RUNNING, 2)
        for _ in range(3):
            ingest.steps.release()
        done = await reached(catalog, job, ended)
    assert (done.state, done.cursor, done.counts["looked_at"]) == (JobState.DONE, "5", 5)
    assert done.result == {"counted": 5}


async def test_a_runner_that_ends_hands_its_job_back_and_the_next_goes_on_there(catalog: Catalog) -> None:
    job = await catalog.add_job(DEFAULT_TENANT, "ingest", SOURCE, {}, 9)
    async with Running(catalog, Counting(steps=3)):
        await reached(catalog, job, lambda one: one.cursor == "3")
    assert (await catalog.job(DEFAULT_TENANT, job.id)).state is JobState.WAITING
    second = Counting()
    async with Running(catalog, second, "two"):
        done = await reached(catalog, job, ended)
    assert second.began_at == ["3"] and (done.state, done.counts["looked_at"]) == (JobState.DONE, 5)


async def test_a_job_whose_runner_died_is_taken_over_after_its_lease(catalog: Catalog) -> None:
    job = await catalog.add_job(DEFAULT_TENANT, "ingest", SOURCE, {}, 9)
    await catalog.take_job("dead", 0.3, ())
    await catalog.keep_job(job.id, "dead", 0.3, "4", {"looked_at": 4})
    ingest = Counting()
    async with Running(catalog, ingest):
        done = await reached(catalog, job, ended)
    assert ingest.began_at == ["4"] and done.counts["looked_at"] == 5


async def test_two_runners_run_a_job_once(catalog: Catalog) -> None:
    jobs = [await catalog.add_job(DEFAULT_TENANT, "ingest", f"s3://b/{number}", {}, 9) for number in range(6)]
    first, second = Counting(), Counting()
    async with Running(catalog, first, "one"), Running(catalog, second, "two"):
        for job in jobs:
            await reached(catalog, job, ended)
    assert len(first.began_at) + len(second.began_at) == len(jobs)


async def test_a_cancelled_job_is_left_and_goes_on_when_it_is_asked_for_again(catalog: Catalog) -> None:
    ingest = Counting(steps=2)

    async def nothing() -> int:
        return 0

    async with Running(catalog, ingest) as runner:
        ingests = Jobs(catalog, Sources(folders=True, s3=S3), nothing, 9, runner.wake)
        job = await ingests.ingest(ADMIN, SOURCE)
        await reached(catalog, job, lambda one: one.cursor == "2")
        assert (await ingests.cancel(ADMIN, job.id)).state is JobState.CANCELLED
        for _ in range(9):
            ingest.steps.release()
        again = await ingests.ingest(ADMIN, SOURCE)
        assert again.id != job.id
        done = await reached(catalog, again, ended)
    assert done.counts["looked_at"] == 5 and (await catalog.job(DEFAULT_TENANT, job.id)).counts["looked_at"] == 2


async def test_an_error_that_may_pass_is_tried_again_and_another_ends_the_job(catalog: Catalog) -> None:
    job = await catalog.add_job(DEFAULT_TENANT, "ingest", SOURCE, {}, 9)
    wrong = await catalog.add_job(DEFAULT_TENANT, "paint", "", {}, 9)
    async with Running(catalog, Counting(ReplicaDown("away"), ReplicaDown("away"))):
        assert (await reached(catalog, job, ended)).state is JobState.DONE
        failed = await reached(catalog, wrong, ended)
    assert failed.state is JobState.FAILED and "paint" in failed.error


async def test_a_bug_is_told_in_generic_words(catalog: Catalog) -> None:
    job = await catalog.add_job(DEFAULT_TENANT, "ingest", SOURCE, {}, 9)
    async with Running(catalog, Counting(RuntimeError("secret"))):
        failed = await reached(catalog, job, ended)
    assert failed.state is JobState.FAILED and "secret" not in failed.error


async def test_an_ingest_whose_disk_hangs_is_cancelled_at_once_and_keeps_no_other_one_waiting(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, well = tmp_path / "hangs", tmp_path / "well"
    hangs.mkdir()
    well.mkdir()
    os.mkfifo(tmp_path / "pipe")

    def counted(folder: Path) -> int:
        """As a folder on a share whose server is away."""
        return len((tmp_path / "pipe").read_bytes()) if folder == hangs else count_pictures(folder)

    async def handled() -> None: ...

    monkeypatch.setattr("services.worker.ingest.folder.count_pictures", counted)
    log = await SqliteLog.open(tmp_path / "log.db")
    folders = FolderIngest(
        catalog, await open_outbox(catalog, log), handled, max_picture_bytes=1000, row_limits=RowLimits()
    )
    hung = await catalog.add_job(DEFAULT_TENANT, "ingest", str(hangs), {}, 9)
    other = await catalog.add_job(DEFAULT_TENANT, "ingest", str(well), {}, 9)
    async with Running(catalog, IngestWork(folders, None)) as runner:
        assert (await reached(catalog, other, ended)).state is JobState.DONE
        await catalog.cancel_job(DEFAULT_TENANT, hung.id)
        runner.wake()
    os.close(os.open(tmp_path / "pipe", os.O_WRONLY))
    await log.close()


S3 = S3Settings(bucket="omma", prefix="own")


@pytest.mark.parametrize("source", ["s3://omma", "s3://omma/own", "s3://omma/own/x", "s3://omma/o", "s3://"])
def test_what_omma_wrote_is_not_ingested(source: str) -> None:
    with pytest.raises(InvalidQuery):
        Sources(folders=True, s3=S3).checked(source, ADMIN)


def test_only_what_the_settings_allow_is_ingested() -> None:
    assert Sources(folders=True).checked("/p", ADMIN) == Sources(folders=True).checked("file:///p", ADMIN) == "/p"
    assert Sources(folders=True).checked("/caf\udce9", ADMIN) == "file:///caf%E9"
    for wrong in ("p", "", "file://host/p", "/p\0", "/\ud83d", "/" + "x" * 5000, "file:///p?q"):
        with pytest.raises(InvalidQuery):
            Sources(folders=True).checked(wrong, ADMIN)
    assert Sources(folders=False, s3=S3).checked("s3://omma/other", ADMIN) == "s3://omma/other"
    with pytest.raises(InvalidQuery, match="no folders"):
        Sources(folders=False, s3=S3).checked("/p", ADMIN)
    with pytest.raises(InvalidQuery, match="no object storage"):
        Sources(folders=True).checked("s3://b/p", ADMIN)
    with pytest.raises(NotAllowed):
        Sources(folders=True, s3=S3, buckets=["a"]).checked("s3://b/p", ADMIN)


async def test_nothing_of_a_bucket_is_forgotten_for_missing(catalog: Catalog) -> None:
    async def nothing() -> int:
        return 0

    jobs = Jobs(catalog, Sources(folders=True, s3=S3), nothing, 9)
    with pytest.raises(InvalidQuery) as caught:
        await jobs.ingest(ADMIN, "s3://other/p", IngestParameters(forget_missing=True))
    assert caught.value.field == "forget_missing"
    job = await jobs.ingest(ADMIN, "/p", IngestParameters(forget_missing=True))
    assert job.parameters == IngestParameters(forget_missing=True).model_dump()


async def test_a_pace_spreads_what_is_spent() -> None:
    now, slept = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(10, lambda: now[0], sleep)
    for _ in range(3):
        await pace.spend(5)
    assert slept == [0.5, 0.5]
    now[0] += 9
    await pace.spend(5)
    assert slept == [0.5, 0.5], "what was not used is not saved up, and costs nothing"


def test_a_tenants_administrator_ingests_only_buckets_that_are_named_for_it() -> None:
    named = Sources(folders=True, s3=S3, buckets=["a"])
    assert named.checked("s3://a/p", TENANT_ADMIN) == "s3://a/p"
    for sources, source in ((named, "/p"), (named, "s3://b/p"), (Sources(folders=True, s3=S3), "s3://a/p")):
        with pytest.raises(NotAllowed):
            sources.checked(source, TENANT_ADMIN)


async def test_a_job_is_shown_to_those_who_might_have_started_it(catalog: Catalog) -> None:
    async def nothing() -> int:
        return 0

    jobs = Jobs(catalog, Sources(folders=True), nothing, 9)
    verify = await jobs.start(DEFAULT_TENANT, VERIFY)
    ingest = await jobs.ingest(ADMIN, "/p")
    assert (await jobs.get(TENANT_ADMIN, ingest.id)).id == ingest.id
    for call in (jobs.get, jobs.cancel):
        with pytest.raises(NotAllowed):
            await call(TENANT_ADMIN, verify.id)
        with pytest.raises(Absent):
            await call(Caller(Tenant("bob"), Role.ADMIN), ingest.id)
    assert (await jobs.get(ADMIN, verify.id)).state is JobState.WAITING


async def test_an_index_that_is_not_there_is_not_compared(catalog: Catalog) -> None:
    """It was told as a replica that does not answer, which callers ask again."""

    async def nothing() -> int:
        return 0

    jobs = Jobs(catalog, Sources(folders=True), nothing, 9)
    for name in ("nope", "no\0pe"):
        with pytest.raises(Absent, match="There is no index") as failure:
            await jobs.verify(DEFAULT_TENANT, VerifyParameters(index=name))
        assert failure.value.field == "index"
    assert await jobs.newest(ADMIN, 9) == []

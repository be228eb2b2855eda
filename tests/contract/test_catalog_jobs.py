"""What every catalog keeps of jobs."""

import asyncio
from contextlib import suppress

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.job import JobState
from omma.errors import Absent, Overloaded, WrongState
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB, Backend


async def test_a_job_is_run_by_one_and_taken_over_when_that_one_is_silent(backend: Backend, clock: Clock) -> None:
    catalog, other = await backend.open(), await backend.open()
    added = await catalog.add_job(ANN, "ingest", "s3://b/p", {}, 9)
    assert (added.state, added.cursor, added.counts) == (JobState.WAITING, "", {})
    taken = await catalog.take_job("one", 10, ())
    assert taken is not None and (taken.id, taken.state) == (added.id, JobState.RUNNING)
    assert await other.take_job("two", 10, ()) is None
    assert await catalog.take_job("one", 10, {taken.id}) is None
    assert await catalog.keep_job(taken.id, "one", 10, "k", {"created": 3})
    clock.seconds += 11
    assert await catalog.take_job("one", 10, {taken.id}) is None, "its own, which still runs"
    over = await other.take_job("two", 10, ())
    assert over is not None and (over.id, over.cursor, over.counts) == (taken.id, "k", {"created": 3})
    assert not await catalog.keep_job(taken.id, "one", 10, "l", {}), "the silent one is not let back in"
    assert not await catalog.end_job(taken.id, "one", JobState.DONE)
    assert await other.end_job(over.id, "two", JobState.DONE)
    done = await catalog.job(ANN, over.id)
    assert (done.state, done.cursor, done.finished_at_ms) == (JobState.DONE, "k", int(clock.seconds * 1000))
    with pytest.raises(Absent):
        await catalog.job(BOB, over.id)


async def test_what_others_are_at_work_on(backend: Backend, clock: Clock) -> None:
    catalog, other = await backend.open(), await backend.open()
    first = await catalog.add_job(ANN, "ingest_list", "a", {"refetch": True}, 9)
    clock.seconds += 1
    second = await catalog.add_job(BOB, "ingest_list", "b", {}, 9)
    clock.seconds += 1
    await catalog.add_job(ANN, "ingest", "c", {}, 9)
    assert await catalog.jobs_of_others("ingest_list", "two") == [], "nobody runs them yet"
    for running in ((), {first.id}, {first.id, second.id}):
        assert await catalog.take_job("one", 60, running) is not None
    await catalog.keep_job(first.id, "one", 60, "run", {})
    found = await other.jobs_of_others("ingest_list", "two")
    assert [(one.id, one.tenant, one.cursor, one.parameters) for one in found] == [
        (first.id, ANN, "run", {"refetch": True}),
        (second.id, BOB, "", {}),
    ]
    assert await catalog.jobs_of_others("ingest_list", "one") == []
    await catalog.end_job(first.id, "one", JobState.DONE)
    assert [one.id for one in await other.jobs_of_others("ingest_list", "two")] == [second.id]


async def test_whoever_is_started_again_takes_its_own_job_at_once(catalog: Catalog) -> None:
    added = await catalog.add_job(ANN, "ingest", "/p", {}, 9)
    assert await catalog.take_job("one", 60, ()) is not None
    again = await catalog.take_job("one", 60, ())
    assert again is not None and again.id == added.id
    assert await catalog.end_job(added.id, "one", JobState.WAITING)
    handed_on = await catalog.take_job("two", 60, ())
    assert handed_on is not None and handed_on.id == added.id


async def test_a_source_has_one_unfinished_job_and_its_next_goes_on_where_that_was_broken_off(
    backend: Backend, clock: Clock
) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    added = await asyncio.gather(*(catalogs[i % 2].add_job(ANN, "ingest", "s3://b", {}, 9) for i in range(6)))
    assert len({job.id for job in added}) == 1
    catalog = catalogs[0]
    await catalog.take_job("one", 60, ())
    await catalog.keep_job(added[0].id, "one", 60, "k", {"created": 3})
    cancelled = await catalog.cancel_job(ANN, added[0].id)
    assert cancelled.state is JobState.CANCELLED
    assert not await catalog.keep_job(added[0].id, "one", 60, "l", {})
    clock.seconds += 1
    following = await catalog.add_job(ANN, "ingest", "s3://b", {}, 9)
    assert following.id != added[0].id and (following.cursor, following.counts) == ("k", {"created": 3})
    await catalog.take_job("one", 60, ())
    await catalog.end_job(following.id, "one", JobState.DONE)
    clock.seconds += 1
    assert (await catalog.add_job(ANN, "ingest", "s3://b", {}, 9)).cursor == ""
    with pytest.raises(Overloaded):
        await catalog.add_job(BOB, "ingest", "s3://b", {}, 1)
    with pytest.raises(Overloaded):
        await catalog.require_job_room(1)
    await catalog.require_job_room(2)


async def test_finished_jobs_are_forgotten_but_for_some(catalog: Catalog, clock: Clock) -> None:
    ids = []
    for number in range(4):
        clock.seconds += 1
        ids.append((await catalog.add_job(ANN, "ingest", f"/{number}", {}, 9)).id)
        await catalog.cancel_job(ANN, ids[-1])
    waiting = await catalog.add_job(ANN, "ingest", "/w", {}, 9)
    await catalog.forget_jobs(2)
    assert (await catalog.job(ANN, waiting.id)).state is JobState.WAITING
    assert (await catalog.job(ANN, ids[2])).source == "/2"
    with pytest.raises(Absent):
        await catalog.job(ANN, ids[1])


async def test_kinds_do_not_meet_and_what_is_asked_for_differently_is_refused(catalog: Catalog) -> None:
    ingest = await catalog.add_job(ANN, "ingest", "", {}, 9)
    verify = await catalog.add_job(ANN, "verify", "", {"repair": True}, 9)
    assert ingest.id != verify.id and verify.parameters == {"repair": True}
    assert (await catalog.add_job(ANN, "verify", "", {"repair": True}, 9)).id == verify.id
    with pytest.raises(WrongState):
        await catalog.add_job(ANN, "verify", "", {"repair": False}, 9)
    taken = {(await catalog.take_job("one", 60, {ingest.id, verify.id})).id for _ in range(2)}  # type: ignore[union-attr]
    assert taken == {ingest.id, verify.id}
    assert await catalog.end_job(verify.id, "one", JobState.DONE, result={"clean": True})
    assert (await catalog.job(ANN, verify.id)).result == {"clean": True}


async def test_a_job_that_is_asked_for_differently_starts_anew(catalog: Catalog) -> None:
    job = await catalog.add_job(ANN, "verify", "", {"full": False}, 9)
    await catalog.take_job("one", 60, ())
    await catalog.keep_job(job.id, "one", 60, "k", {"compared": 3})
    await catalog.cancel_job(ANN, job.id)
    assert (await catalog.add_job(ANN, "verify", "", {"full": True}, 9)).cursor == ""


async def test_a_job_of_a_kind_that_does_not_go_on_begins_at_the_start(catalog: Catalog, clock: Clock) -> None:
    for goes_on, cursor in ((False, ""), (True, "7")):
        clock.seconds += 1
        await catalog.add_job(ANN, "verify", "", {}, 9)
        taken = await catalog.take_job("one", 30, [])
        assert taken is not None
        await catalog.keep_job(taken.id, "one", 30, "7", {"looked_at": 7})
        await catalog.end_job(taken.id, "one", JobState.FAILED)
        clock.seconds += 1
        again = await catalog.add_job(ANN, "verify", "", {}, 9, goes_on=goes_on)
        assert (again.cursor, dict(again.counts)) == (cursor, {"looked_at": 7} if cursor else {})
        await catalog.cancel_job(ANN, again.id)


async def test_finished_jobs_of_one_kind_push_out_none_of_another(catalog: Catalog) -> None:
    ids = []
    for number, kind in enumerate(("ingest", "collect", "collect", "collect")):
        job = await catalog.add_job(ANN, kind, str(number), {}, 9)
        await catalog.cancel_job(ANN, job.id)
        ids.append(job.id)
    await catalog.forget_jobs(1)
    left = []
    for job_id in ids:
        with suppress(Absent):
            left.append((await catalog.job(ANN, job_id)).kind)
    assert sorted(left) == ["collect", "ingest"]


async def test_the_newest_are_told_of_one_tenant_and_of_some_kinds(catalog: Catalog, clock: Clock) -> None:
    made = []
    for tenant, kind in ((ANN, "ingest"), (ANN, "verify"), (BOB, "ingest"), (ANN, "ingest")):
        clock.seconds += 1
        made.append((await catalog.add_job(tenant, kind, str(clock.seconds), {}, 9)).id)
    assert [job.id for job in await catalog.newest_jobs(ANN, {"ingest"}, 9)] == [made[3], made[0]]
    assert [job.id for job in await catalog.newest_jobs(ANN, {"ingest", "verify"}, 2)] == [made[3], made[1]]
    assert await catalog.newest_jobs(ANN, set(), 9) == []

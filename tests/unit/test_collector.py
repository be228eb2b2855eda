"""What a collector deletes, and what it leaves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import Blobs, original_key, thumbnail_key
from omma.catalog.interface import Catalog
from omma.catalog.job import Job, JobId, JobState
from omma.catalog.picture import NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import ReplicaDown
from omma.identity import DEFAULT_TENANT, ImageId, Sha256
from omma.job_kinds import COLLECT
from services.worker.jobs.collect import CollectWork
from services.worker.jobs.progress import Progress
from services.worker.truth.collector import Collector
from tests.clock import Clock

GRACE = 60.0
SHA = Sha256("5" * 64)


@dataclass
class World:
    catalog: Catalog
    blobs: Blobs
    clock: Clock


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=clock)
    blobs = FolderBlobs(tmp_path / "blobs")
    yield World(catalog, blobs, clock)
    await blobs.close()
    await catalog.close()


async def keys(blobs: Blobs) -> list[str]:
    return [key async for key in blobs.keys("")]


async def add(world: World, key: str, uri: str = f"omma:{SHA}") -> ImageId:
    await world.blobs.put(thumbnail_key(SHA), b"thumbnail")
    (made,) = await world.catalog.upsert(DEFAULT_TENANT, [NewPicture(key, SHA, uri, 5)])
    return made.id


async def collected(world: World) -> dict[str, int]:
    progress = Progress()
    await Collector(world.catalog, world.blobs, GRACE).collect(progress)
    return {name: count for name, count in progress.counts.items() if count}


async def test_the_job_forgets_leases_of_who_was_killed(world: World) -> None:
    """As of a list's part whose worker was killed, and whose job was cancelled: nobody takes it over."""
    assert await world.catalog.acquire_lease("list/run/3", "killed", 30)
    world.clock.seconds += 30 + 3_600
    assert await world.catalog.acquire_lease("list/other/1", "at work", 30)
    job = Job(JobId("j"), DEFAULT_TENANT, COLLECT.name, "", JobState.RUNNING, 0)
    work = CollectWork(Collector(world.catalog, world.blobs, GRACE), world.catalog, world.blobs)
    await work.run(job, Progress())
    assert await world.catalog.forget_leases(0) == 0, "it is gone"
    assert not await world.catalog.acquire_lease("list/other/1", "another", 30)


async def test_bytes_go_when_the_last_row_that_needs_them_can_be_restored_no_more(world: World) -> None:
    await world.blobs.put(original_key(SHA), b"bytes")
    first, second = await add(world, "a"), await add(world, "b")
    await world.catalog.delete(DEFAULT_TENANT, [first])
    world.clock.seconds += GRACE
    assert await collected(world) == {"needed": 1}
    await world.catalog.delete(DEFAULT_TENANT, [second])
    world.clock.seconds += GRACE - 1
    assert await collected(world) == {}
    assert len(await keys(world.blobs)) == 2
    world.clock.seconds += 1
    assert await collected(world) == {"collected": 1}
    assert await keys(world.blobs) == []


async def test_a_referenced_file_is_left_and_its_thumbnail_goes(world: World, tmp_path: Path) -> None:
    file = tmp_path / "mine.jpg"
    file.write_bytes(b"bytes")
    await world.blobs.put(original_key(SHA), b"bytes")
    uploaded, referenced = await add(world, "a"), await add(world, file.as_uri(), file.as_uri())
    await world.catalog.delete(DEFAULT_TENANT, [uploaded])
    world.clock.seconds += GRACE
    assert await collected(world) == {"collected": 1}
    assert await keys(world.blobs) == [thumbnail_key(SHA)]
    await world.catalog.delete(DEFAULT_TENANT, [referenced])
    world.clock.seconds += GRACE
    assert await collected(world) == {"collected": 1}
    assert await keys(world.blobs) == []
    assert file.read_bytes() == b"bytes"


async def test_a_sweep_finds_what_no_row_ever_named_and_goes_on_where_it_was(world: World) -> None:
    await add(world, "a")
    shas = [Sha256(f"{number:064x}") for number in range(8)]
    for sha256 in shas:
        await world.blobs.put(original_key(sha256), b"x")
        await world.blobs.put(thumbnail_key(sha256), b"x")
    for key in ("originals/ab/readme", "codebooks/c", "snapshots/s"):
        await world.blobs.put(key, b"x")
    progress = Progress(cursor=original_key(shas[3]))
    sweep = Collector(world.catalog, world.blobs, GRACE)
    await sweep.sweep(progress)
    assert (progress.counts["looked_at"], progress.counts["without_row"]) == (4 + 1 + 9, 4 + 8)
    world.clock.seconds += GRACE
    await sweep.collect(progress)
    assert await keys(world.blobs) == ["codebooks/c", "originals/ab/readme", "snapshots/s", thumbnail_key(SHA)]


class Barred(FolderBlobs):
    """Deletes nothing of these bytes, as a folder that another user made; away: answers nothing at all."""

    barred: tuple[Sha256, ...] = ()
    away = False

    async def delete(self, key: str) -> None:
        if self.away or key in map(original_key, self.barred):
            raise ReplicaDown("The folder of blobs cannot be read or written now.")
        await super().delete(key)

    async def size(self, key: str) -> int | None:
        if self.away:
            raise ReplicaDown("The folder of blobs cannot be read or written now.")
        return await super().size(key)


async def test_bytes_that_cannot_be_deleted_hold_no_others_up(world: World, tmp_path: Path) -> None:
    shas = [Sha256(f"{number:064x}") for number in range(12)]
    blobs = Barred(tmp_path / "blobs")
    blobs.barred = (shas[0], shas[5])
    for sha256 in shas:
        await blobs.put(original_key(sha256), b"x")
    await world.catalog.note_orphans(shas)
    world.clock.seconds += GRACE
    await Collector(world.catalog, blobs, GRACE).collect(progress := Progress())
    assert (progress.counts["collected"], progress.counts["left"]) == (10, 2)
    assert await keys(blobs) == [original_key(shas[0]), original_key(shas[5])]
    world.clock.seconds += 120
    assert await collected(world) == {"collected": 2}, "somebody has mended it"
    await blobs.close()


async def test_where_the_storage_is_away_the_collector_says_so(world: World, tmp_path: Path) -> None:
    blobs = Barred(tmp_path / "blobs")
    blobs.away = True
    await world.catalog.note_orphans([SHA])
    world.clock.seconds += GRACE
    with pytest.raises(ReplicaDown):
        await Collector(world.catalog, blobs, GRACE).collect(Progress())
    await blobs.close()


async def test_what_is_left_is_not_tried_for_ever(world: World, tmp_path: Path) -> None:
    """Its lease may end while others are being deleted."""
    blobs = Barred(tmp_path / "blobs")
    blobs.barred = (SHA,)
    await blobs.put(original_key(SHA), b"x")
    await world.catalog.note_orphans([SHA])
    world.clock.seconds += GRACE

    def clock() -> float:
        world.clock.seconds += 60
        return 0.0 if world.clock.seconds < 1_700_000_000 + 400 else 1_000.0

    async with asyncio.timeout(20):
        await Collector(world.catalog, blobs, GRACE, clock=clock).collect(progress := Progress())
    assert progress.counts["left"] >= 2 and await keys(blobs) == [original_key(SHA)]
    await blobs.close()


async def test_a_collector_that_runs_out_of_time_leaves_the_rest(world: World) -> None:
    await world.blobs.put(original_key(SHA), b"bytes")
    await world.catalog.note_orphans([SHA])
    world.clock.seconds += GRACE
    ticks = iter((0.0, 10.0, 10.0))
    await Collector(world.catalog, world.blobs, GRACE, clock=lambda: next(ticks)).collect(Progress())
    assert await keys(world.blobs) == [original_key(SHA)]
    world.clock.seconds += 119
    assert await collected(world) == {}
    world.clock.seconds += 1
    assert await collected(world) == {"collected": 1}

"""Snapshots in real blobs: taken by one replica at a time, shared, collected, refused, mended."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.log.sqlite import SqliteLog
from omma.telemetry.metrics import SHARD_SNAPSHOTS_REFUSED
from services.nn_shard.engine import Checkpoint
from services.nn_shard.lease import LeaseLost
from services.nn_shard.shard import Shard
from tests.integration.shard_world import SETTINGS, SPACE, World, caught_up, require_model, running, world

__all__ = ["world"]

DAYS = 24 * 3600


async def keys(world: World, part: str) -> list[str]:
    return [key async for key in world.blobs.keys("snapshots/") if f"/{part}/" in key]


async def damage(world: World, key: str) -> None:
    content = bytearray(await world.blobs.get(key))
    content[len(content) // 2] ^= 0xFF
    await world.blobs.put(key, bytes(content))


def restored(shard: Shard) -> bool:
    """It began with a snapshot's stamp and not with an empty engine."""
    return bool(shard.replica.loaded().stamp)


async def test_only_new_segments_are_uploaded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded: list[str] = []
    put_file = FolderBlobs.put_file

    async def counted(self: FolderBlobs, key: str, path: Path) -> None:
        uploaded.append(key)
        await put_file(self, key, path)

    monkeypatch.setattr(FolderBlobs, "put_file", counted)
    index = await world.register()
    unmerged = SETTINGS.engine.model_copy(update={"merge_ratio": 1.0})
    settings = SETTINGS.model_copy(update={"engine": unmerged, "maintenance_seconds": 3_600})
    async with running(world.shard(index, settings=settings)) as shard:
        await world.put(300)
        await caught_up(world, shard)
        assert await shard.maintenance.snapshot()
        first = list(uploaded)
        assert await shard.maintenance.snapshot()
        assert uploaded == first
        assert len(await keys(world, "manifests")) == 1, "the same state again is no new snapshot"
        await world.send([world.delete(1, 2)])
        await world.put(5, first=1_000)
        await caught_up(world, shard)
        assert await shard.maintenance.snapshot()
        assert 0 < len(uploaded) - len(first) < len(first) / 2
        assert len(set(uploaded)) == len(uploaded)


async def test_of_two_replicas_the_same_one_goes_on_until_it_stops(world: World) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index, folder="b")) as b:
        async with running(world.shard(index, folder="a")) as a:
            assert await a.maintenance.snapshot()
            assert not await b.maintenance.snapshot()
            assert await a.maintenance.snapshot()
        assert await b.maintenance.snapshot()


async def test_one_that_no_longer_reads_writes_none_and_lets_another(world: World) -> None:
    index = await world.register()
    await world.put(100)
    settings = SETTINGS.model_copy(update={"stale_seconds": 1.0, "lag_check_seconds": 600})
    async with running(world.shard(index, settings=settings, folder="a")) as a:
        assert await a.maintenance.snapshot()
        async with asyncio.timeout(10):
            while not a.replica.stale:  # the log is asked no more, so the clock alone makes it so
                await asyncio.to_thread(time.sleep, 0.01)
        assert not await a.maintenance.snapshot()
        async with running(world.shard(index, folder="b")) as b:
            assert await b.maintenance.snapshot()


async def test_a_collector_and_an_upload_that_outlived_its_lease_leave_only_whole_snapshots(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer hangs between its files and its manifest, as a stopped process does; another takes over meanwhile."""
    index = await world.register()
    await world.put(200)
    async with running(world.shard(index, folder="a")) as a, running(world.shard(index, folder="b")) as b:
        hangs, goes_on = asyncio.Event(), asyncio.Event()
        put_file, seconds = FolderBlobs.put_file, 0.0

        async def hang(self: FolderBlobs, key: str, path: Path) -> None:
            await put_file(self, key, path)
            if not hangs.is_set():
                hangs.set()
                await goes_on.wait()

        lease = a.maintenance._lease
        monkeypatch.setattr(lease, "_now", lambda: time.monotonic() + seconds)
        monkeypatch.setattr(FolderBlobs, "put_file", hang)
        writing = asyncio.create_task(a.maintenance.snapshot())
        await hangs.wait()
        seconds = 1e6
        await world.catalog.release_lease(lease.name, lease._holder)  # it has ended
        assert await b.maintenance.snapshot()
        goes_on.set()
        with pytest.raises(LeaseLost):
            await writing
        # What it uploaded after the other's collector had been there, the next collector takes away.
        await world.put(10, first=1_000)
        await caught_up(world, b)
        assert await b.maintenance.snapshot()
        manifests = [Checkpoint.from_json(await world.blobs.get(key)) for key in await keys(world, "manifests")]
        named = {file.sha256 for manifest in manifests for file in manifest.files()}
        assert {key.rsplit("/", 1)[1] for key in await keys(world, "files")} == named
    async with running(world.shard(index, folder="other")) as other:
        assert restored(other)
        await require_model(world, other, index)


@pytest.mark.parametrize("what", ["files", "manifests"])
async def test_when_every_snapshot_is_damaged_the_log_is_replayed(
    world: World, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        await world.put(50, first=200)
        await caught_up(world, shard)
        assert await shard.maintenance.snapshot()
    for key in await keys(world, what):
        await damage(world, key)
    before = SHARD_SNAPSHOTS_REFUSED._value.get()
    async with running(world.shard(index, folder="other")) as other:
        await require_model(world, other, index)
    assert SHARD_SNAPSHOTS_REFUSED._value.get() == before + 2
    assert caplog.text.count("is not used") == 2


async def test_a_file_that_was_found_damaged_is_uploaded_again_by_the_next_snapshot(world: World) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        for key in await keys(world, "files"):
            await damage(world, key)
        async with running(world.shard(index, folder="refuses")) as other:
            await require_model(world, other, index)
        assert await keys(world, "damaged")
        assert await shard.maintenance.snapshot()
        assert not await keys(world, "damaged")
    async with running(world.shard(index, folder="restores")) as other:
        assert restored(other)
        await require_model(world, other, index)


async def test_a_snapshot_of_another_log_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
    await world.log.close()
    (world.folder / "log.db").unlink()
    world.log = await SqliteLog.open(world.folder / "log.db")
    world.model.clear()
    async with running(world.shard(index, folder="other")) as other:
        await world.put(30, first=500)
        await caught_up(world, other)
        await require_model(world, other, index)
    assert "is not used" in caplog.text


async def test_a_snapshot_older_than_the_retention_of_nulls_brings_no_deleted_picture_back(world: World) -> None:
    index = await world.register()
    await world.put(300)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        await world.send([world.delete(one, 2) for one in range(1, 120)])
        await world.put(20, first=1_000)
        await caught_up(world, shard)
        await require_model(world, shard, index)
    await world.log.close()
    world.log = await SqliteLog.open(world.folder / "log.db", clock=lambda: time.time() + 400 * DAYS)
    await world.log.compact()
    kept = [record async for record in world.log.scan(SPACE.vectors_topic)]
    assert len(kept) == 320, "the vectors of the deleted pictures are gone from the log, their deletes are not"
    async with running(world.shard(index, folder="other")) as other:
        assert restored(other)
        await require_model(world, other, index)
    async with running(world.shard(world.index(), folder="replayed")) as other:
        await require_model(world, other, index)


async def test_a_bucket_that_was_lost_is_filled_again_by_the_next_snapshot(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(700)
    settings = SETTINGS.model_copy(update={"catalog_seconds": 3_600})
    async with running(world.shard(index, settings=settings)) as shard:
        await shard.trainer.look()
        codebook = shard.replica.loaded().codebook
        assert codebook is not None
        assert await shard.maintenance.snapshot()
        for key in [key async for key in world.blobs.keys("")]:
            await world.blobs.delete(key)
        with caplog.at_level(logging.ERROR):
            async with running(world.shard(index, settings=settings, folder="early")) as early:
                await require_model(world, early, index)  # exactly, from the log, without the codebook
                assert early.replica.loaded().codebook is None
                assert await shard.maintenance.snapshot()
                await early.trainer.look()
                assert early.replica.loaded().codebook is not None
        assert "searches exactly" in caplog.text
    async with running(world.shard(index, settings=settings, folder="late")) as late:
        assert restored(late)
        assert late.replica.loaded().codebook is not None
        await require_model(world, late, index)

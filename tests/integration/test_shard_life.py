"""A shard on the real log, blobs and catalog: whatever happens to process and files, it holds what the log says."""

import asyncio
import logging
import random
import shutil
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from omma.errors import InvalidQuery
from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog
from services.nn_shard.engine import Checkpoint, Engine, Task, Work
from services.nn_shard.engine.segment_tasks import MOST_MERGED
from tests.integration.shard_world import SETTINGS, SPACE, World, caught_up, require_model, running, world
from tests.waiting import eventually

__all__ = ["world"]


async def test_holds_what_the_log_says_after_any_number_of_restarts(world: World) -> None:
    index = await world.register()
    choose = random.Random(3)
    for turn in range(4):
        async with running(world.shard(index)) as shard:
            await world.put(150, first=1 + 100 * turn)
            changed = choose.sample(sorted(world.model), 40)
            await world.send(
                [
                    world.record(one, world.model[one].version + 1, regions=2)
                    if choose.random() < 0.5
                    else world.delete(one, world.model[one].version + 1)
                    for one in changed
                ]
            )
            await caught_up(world, shard)
            await require_model(world, shard, index)


async def test_a_clean_restart_reads_nothing_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    await world.put(200)
    async with running(world.shard(index)):
        pass
    async with running(world.shard(index)) as shard:
        assert sum(shard.replica.next_offsets.values()) == 200
        applied = shard.replica.loaded().counts()
        assert applied.head_rows == 0
        await require_model(world, shard, index)


async def test_a_replay_merges_as_many_segments_as_a_merge_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody searches it yet, and a row would be written again with every segment that comes."""
    index = await world.register()
    await world.put(40 * SETTINGS.engine.seal_rows)
    shard = world.shard(index)
    merged: list[tuple[bool, int]] = []
    install = Engine.install

    def seen(self: Engine, task: Task) -> None:
        if task.kind is Work.MERGE:
            merged.append((shard.replica.ready, len(task.inputs)))
        install(self, task)

    monkeypatch.setattr(Engine, "install", seen)
    async with running(shard):
        await eventually(lambda: shard.replica.loaded().counts().segments <= 4, 30)
        await require_model(world, shard, index)
    assert {inputs for ready, inputs in merged if not ready} <= {MOST_MERGED}
    assert any(ready for ready, _ in merged)


async def test_a_shard_that_runs_no_more_is_told_of_no_more(world: World) -> None:
    """A process outlives its indexes' shards: what was last said of a retired one would stand, and alert, for ever."""
    index = await world.register()
    await world.put(20)

    def told_of() -> set[str]:
        every = (sample for metric in REGISTRY.collect() if metric.type == "gauge" for sample in metric.samples)
        own = (one.name for one in every if one.labels.get("index") == index.id)
        return {name for name in own if name.startswith("omma_shard_")}

    async with running(world.shard(index)):
        async with asyncio.timeout(30):
            while not {"omma_shard_live_vectors", "omma_shard_stale"} <= told_of():  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.02)
    assert told_of() == set()


async def test_a_process_killed_at_any_moment_starts_from_what_its_folder_holds(world: World) -> None:
    """What kill -9 leaves is the folder as it is; copies of it taken at many moments stand for many kills."""
    index = await world.register()
    copies: list[Path] = []
    async with running(world.shard(index)) as shard:
        for turn in range(6):
            await world.put(90, first=1 + 60 * turn)
            await caught_up(world, shard)
            copy = world.folder / f"killed-{turn}"
            await asyncio.to_thread(_copy_as_it_is, world.folder / "shard", copy)
            copies.append(copy)
    for copy in copies:
        async with running(world.shard(index, folder=copy.name)) as shard:
            await require_model(world, shard, index)


def _copy_as_it_is(folder: Path, copy: Path) -> None:
    """The manifest first: what it names stays until the next one is written, so retry when that happened meanwhile."""
    manifest = folder / "engine" / "manifest.json"
    while True:
        before = manifest.read_bytes() if manifest.exists() else b""
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(folder, copy)
        except shutil.Error:
            continue
        if before == (manifest.read_bytes() if manifest.exists() else b""):
            return


async def test_files_of_another_log_are_not_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)):
        pass
    await world.log.close()
    (world.folder / "log.db").unlink()
    world.log = await SqliteLog.open(world.folder / "log.db")
    world.model.clear()
    await world.log.ensure_topic(TopicSpec(SPACE.vectors_topic, SPACE.buckets, compacted=True))
    await world.put(30, first=500)
    with caplog.at_level(logging.WARNING):
        async with running(world.shard(index)) as shard:
            await require_model(world, shard, index)
    assert "the log is replayed" in caplog.text


@pytest.mark.parametrize("which", ["one", "every"])
async def test_a_damaged_segment_is_rebuilt_from_the_log(
    world: World, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(200)
    await world.send([world.delete(one, 2) for one in range(1, 30)])
    async with running(world.shard(index)):
        pass
    files = sorted(path for path in (world.folder / "shard/engine/segments").rglob("*") if path.is_file())
    assert files
    for file in files if which == "every" else files[:1]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        async with running(world.shard(index)) as shard:
            await require_model(world, shard, index)
    assert "rebuilt from the log" in caplog.text


async def test_a_manifest_that_cannot_be_read_means_a_full_replay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)):
        pass
    (world.folder / "shard" / "engine" / "manifest.json").write_text("{")
    async with running(world.shard(index)) as shard:
        await require_model(world, shard, index)
    assert "the log is replayed" in caplog.text


async def test_an_offset_that_the_log_does_not_have_means_a_full_replay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """While it follows: as after the log's disk was restored from an older copy."""
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        shard.replica._next_offsets = dict.fromkeys(shard.replica.next_offsets, 10_000)
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(shard.replica.follow())
                await shard.replica.until_ready(False)
                await shard.replica.until_ready()
                await require_model(world, shard, index)
                raise InvalidQuery("stop")
    assert "Replaying" in caplog.text


async def test_a_snapshot_restores_into_an_empty_folder(world: World) -> None:
    index = await world.register()
    await world.put(300)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        await world.put(20, first=400)
        await caught_up(world, shard)
    async with running(world.shard(index, folder="other")) as shard:
        assert shard.replica.loaded().stamp  # from the snapshot, not from the log's beginning
        await require_model(world, shard, index)


async def test_a_damaged_snapshot_is_refused_and_the_older_one_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        older = {path async for path in world.blobs.keys("snapshots/")}
        await world.put(100, first=101)
        await caught_up(world, shard)
        assert await shard.maintenance.snapshot()
        newer = [path async for path in world.blobs.keys("snapshots/") if path not in older and "/files/" in path]
        assert newer
        content = bytearray(await world.blobs.get(newer[0]))
        content[0] ^= 0xFF
        await world.blobs.put(newer[0], bytes(content))
    with caplog.at_level(logging.INFO):
        async with running(world.shard(index, folder="other")) as shard:
            await require_model(world, shard, index)
    assert "is not used" in caplog.text
    assert "Restored" in caplog.text


async def test_old_snapshots_and_files_that_none_names_are_deleted(world: World) -> None:
    index = await world.register()
    settings = SETTINGS.model_copy(update={"keep_snapshots": 2})
    async with running(world.shard(index, settings=settings)) as shard:
        for turn in range(5):
            await world.put(70, first=1 + 70 * turn)
            await caught_up(world, shard)
            assert await shard.maintenance.snapshot()
        keys = [key async for key in world.blobs.keys("snapshots/")]
        assert len([key for key in keys if "/manifests/" in key]) == 2
        manifests = [Checkpoint.from_json(await world.blobs.get(key)) for key in keys if "/manifests/" in key]
        named = {file.sha256 for manifest in manifests for file in manifest.files()}
        assert {key.rsplit("/", 1)[1] for key in keys if "/files/" in key} == named
    async with running(world.shard(index, folder="other")) as shard:
        await require_model(world, shard, index)


async def test_a_record_that_is_none_stops_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    producer = await world.log.producer()
    await producer.send(SPACE.vectors_topic, 0, b"x", b"\xff\xff\xff")
    await producer.close()
    await world.put(10)
    async with running(world.shard(index)) as shard:
        await require_model(world, shard, index)
    assert "is passed over" in caplog.text

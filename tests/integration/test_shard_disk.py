"""A disk that is full under a shard: a small file system of its own, filled for real."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import SHARD_FAILURES
from omma.vectors import normalise
from services.nn_shard.engine import Checkpoint
from tests.integration.shard_world import DIM, SETTINGS, World, caught_up, query, require_model, running, world

__all__ = ["world"]

BYTES = 4 << 20
LEFT_BYTES = 96 << 10
"""A sealed segment of 64 pictures needs more than half of it."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        file.write(b"\0" * (shutil.disk_usage(folder).free - LEFT_BYTES))
    return ballast


def copied_as_of_one_moment(folder: Path, to: Path) -> Path:
    """As a kill would leave it: threads go on writing, so a copy counts when nothing changed while it was made."""

    def state() -> set[tuple[Path, int]]:
        return {(path, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}

    for _ in range(1_000):
        shutil.rmtree(to, ignore_errors=True)
        with contextlib.suppress(OSError):  # what was there is gone (shutil.Error is one, too)
            before = state()
            shutil.copytree(folder, to)
            if state() == before:
                return to
    raise AssertionError("never the same for as long as a copy takes")


async def test_answers_goes_on_reading_to_a_bound_says_so_and_recovers(world: World, small_disk: Path) -> None:
    index = await world.register()
    full = SHARD_FAILURES.labels("sealing", "disk_full")
    settings = SETTINGS.model_copy(update={"stale_seconds": 0.5, "lag_check_seconds": 0.05})
    bound = settings.max_head_segments * settings.engine.seal_rows + settings.poll_records
    async with running(world.shard(index, settings=settings, folder="small/shard")) as shard:
        await world.put(100)
        await caught_up(world, shard)
        await shard.maintenance.checkpoint()
        ballast = await asyncio.to_thread(fill, small_disk)
        failures = full._value.get()
        await world.put(1_000, first=1_000)
        async with asyncio.timeout(30):
            while not (await shard.client.stats(Deadline.after(5))).stale or full._value.get() < failures + 3:
                counts = shard.replica.loaded().counts()
                assert counts.head_rows <= bound
                answer = await shard.client.search(query(index, normalise(np.ones(DIM)), exact=True), Deadline.after(5))
                assert len(answer.hits) == 10
                await asyncio.sleep(0.02)
        assert counts.pictures < 1_100, "it does not take in more than it may hold in memory"
        assert shard.replica.ready
        await asyncio.to_thread(ballast.unlink)
        await caught_up(world, shard)
        await require_model(world, shard, index)
    engine = small_disk / "shard" / "engine"
    named = {one.name for one in Checkpoint.from_json((engine / "manifest.json").read_bytes()).segments}
    assert {path.name for path in (engine / "segments").iterdir()} == named, "what could not be written was removed"
    async with running(world.shard(index, folder="small/shard")) as shard:
        await require_model(world, shard, index)


async def test_killed_while_the_disk_is_full_it_starts_from_what_is_whole(world: World, small_disk: Path) -> None:
    index = await world.register()
    full = SHARD_FAILURES.labels("sealing", "disk_full")
    async with running(world.shard(index, folder="small/shard")) as shard:
        await world.put(100)
        await caught_up(world, shard)
        await shard.maintenance.checkpoint()
        ballast = await asyncio.to_thread(fill, small_disk)
        failures = full._value.get()
        await world.put(600, first=1_000)
        async with asyncio.timeout(30):
            while full._value.get() == failures:  # noqa: ASYNC110  a thread counts
                await asyncio.sleep(0.01)
        copy = await asyncio.to_thread(copied_as_of_one_moment, small_disk / "shard", world.folder / "killed")
        await asyncio.to_thread(ballast.unlink)
    async with running(world.shard(index, folder=copy.name)) as shard:
        await require_model(world, shard, index)

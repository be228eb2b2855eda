"""Restoring over what a death left: at whichever step it came, the next start has the snapshot, downloaded once."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.folder import FolderBlobs
from omma.index import Index
from services.nn_shard.engine import Checkpoint
from tests.integration.shard_world import World, caught_up, running, world

__all__ = ["world"]

_CHANGES = frozenset({"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"})


class Killed(BaseException):
    """The process ends here."""


class Death:
    """Comes at the nth change of a file below the folder; -1: never. Steps count on."""

    def __init__(self) -> None:
        self.below, self.at, self.steps = "", -1, 0
        sys.addaudithook(self._look)  # there for good: no test can take one away

    @contextmanager
    def coming(self, below: Path, at: int) -> Iterator[None]:
        self.below, self.at, self.steps = str(below), at, 0
        try:
            yield
        finally:
            self.below = ""

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.below or event not in _CHANGES or self.below not in str(arguments[0]):
            return
        if event == "open" and not set(str(arguments[1])) & set("wxa+"):
            return
        self.steps += 1
        if self.steps > self.at >= 0:  # nor does a dead process do anything afterwards
            raise Killed


DEATH = Death()


def without_checkpoint(engine: Path) -> None:
    """It died before the first one."""
    (engine / "segments").mkdir(parents=True)


def amidst_sealing(engine: Path) -> None:
    (engine / "segments" / "0123").mkdir(parents=True)
    (engine / "segments" / "0123" / "vectors").write_bytes(b"some")
    (engine / "manifest.json.new").write_bytes(b"{")


def amidst_a_download(engine: Path) -> None:
    without_checkpoint(engine)
    part = engine.with_name("engine.part")
    (part / "segments" / "0123").mkdir(parents=True)
    (part / "manifest.json").write_bytes(b"{")


def unreadable(engine: Path) -> None:
    without_checkpoint(engine)
    (engine / "manifest.json").write_bytes(b"{}")


async def load(world: World, index: Index) -> int:
    """Pictures that a start has before it reads the log; raises Killed."""
    shard = world.shard(index, folder="b")
    # Of its own: threads of a dead process end with it, and here are waited for.
    threads = ThreadPoolExecutor(8)
    asyncio.get_running_loop().set_default_executor(threads)
    try:
        await shard.replica.load(0, 1, None, shard._snapshots)
        return shard.replica.loaded().counts().pictures
    finally:
        for executor in (threads, shard._search, shard._writer, shard._maintainer):
            executor.shutdown()


@pytest.mark.parametrize("left", [without_checkpoint, amidst_sealing, amidst_a_download, unreadable])
async def test_a_death_at_any_step_of_a_restore_is_made_good(
    world: World, monkeypatch: pytest.MonkeyPatch, left: Callable[[Path], None]
) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        await caught_up(world, shard)
        assert await shard.maintenance.snapshot()
    manifests = [key async for key in world.blobs.keys("snapshots/") if "/manifests/" in key]
    files = Checkpoint.from_json(await world.blobs.get(manifests[-1])).files()
    downloads: list[str] = []
    get_file = FolderBlobs.get_file

    async def counted(self: FolderBlobs, key: str, path: Path) -> None:
        downloads.append(key)
        await get_file(self, key, path)

    monkeypatch.setattr(FolderBlobs, "get_file", counted)
    folder = world.folder / "b"
    step = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        left(folder / "engine")
        try:
            with DEATH.coming(folder, step):
                assert await load(world, index) == 100
            break
        except (Killed, BaseExceptionGroup):
            downloads.clear()
            assert await load(world, index) == 100, f"after a death at step {step}"
            assert len(downloads) in {0, len(files)}, "once, if it was not in its place already"
            downloads.clear()
            assert await load(world, index) == 100
            assert not downloads, "the files are there"
            assert not (folder / "engine.part").exists()
        step += 1
    assert step > 10
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))

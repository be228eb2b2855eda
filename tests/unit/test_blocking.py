"""Calls that may never return: given up, bounded, and no hindrance to the end of the process."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals, sha256_of
from omma.blocking import BlockingCalls
from omma.errors import Absent, OutOfTime, Overloaded
from omma.telemetry.context import bind_request_id, request_id

SECONDS = 20


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Opening it for reading hangs until somebody writes: as a file on a share whose server is away."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def let_go(pipe: Path) -> None:
    os.close(os.open(pipe, os.O_WRONLY))


async def test_a_call_returns_or_raises_in_its_callers_context() -> None:
    calls = BlockingCalls("test", at_once=2, left_behind=1)
    with bind_request_id("abc"):
        assert await calls.run(SECONDS, request_id) == "abc"
    with pytest.raises(ZeroDivisionError):
        await calls.run(None, lambda: 1 // 0)


async def test_a_call_that_hangs_is_given_up_and_others_go_on_until_too_many_hang(pipe: Path) -> None:
    calls = BlockingCalls("test", at_once=1, left_behind=2)
    with pytest.raises(OutOfTime):
        await calls.run(0.01, pipe.read_bytes)
    cancelled = asyncio.create_task(calls.run(None, pipe.read_bytes))
    await asyncio.sleep(0)
    assert cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(Overloaded):
        await calls.run(SECONDS, int)
    let_go(pipe)
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                assert await calls.run(SECONDS, int) == 0
                return
            except Overloaded:
                await asyncio.sleep(0)


def test_a_call_that_hangs_does_not_keep_the_process(pipe: Path) -> None:
    script = """
import asyncio, pathlib, sys
from omma.blocking import BlockingCalls
from omma.errors import OutOfTime

async def main():
    try:
        await BlockingCalls("test", at_once=1, left_behind=2).run(0.01, pathlib.Path(sys.argv[1]).read_bytes)
    except OutOfTime:
        print("given up")

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script, pipe], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "given up\n"), done.stderr


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "gone", "below a file"])
async def test_an_original_that_is_no_file_is_absent_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "below a file":
        path.touch()
        path /= "b.jpg"
    originals = Originals(FolderBlobs(tmp_path))
    try:
        async with asyncio.timeout(SECONDS):
            with pytest.raises(Absent):
                await originals.read(path.as_uri(), sha256_of(b""), 1000)
    finally:
        await originals.close()

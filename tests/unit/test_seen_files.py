"""A start reads again what somebody may have written since its checksum was compared, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from omma.errors import Corrupt
from services.nn_shard.engine.manifest import FileSum
from services.nn_shard.engine.seen import SEEN, Seen
from services.nn_shard.engine.segment import file_sum

NOW = 1_800_000_000.0


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    path = tmp_path / "boot_id"
    path.write_text("first\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "engine"
    (folder / "segments").mkdir(parents=True)
    for name in ("codes", "columns"):
        (folder / "segments" / name).write_bytes(name.encode() * 100)
    return folder


def files(folder: Path) -> list[FileSum]:
    return [file_sum(path, folder) for path in sorted((folder / "segments").iterdir())]


def held(folder: Path, boot: Path, wanted: list[FileSum], *, now: float = NOW) -> list[bool]:
    return [Seen(folder, boot=boot, clock=lambda: now).holds(one) for one in wanted]


def started(folder: Path, boot: Path, wanted: list[FileSum], *, now: float = NOW) -> Seen:
    """As a start does: what is not held is read, and what was read is kept."""
    seen = Seen(folder, boot=boot, clock=lambda: now)
    for file in wanted:
        seen.verify(file)
    seen.keep(wanted)
    return seen


def test_what_was_verified_is_held_by_the_next_start_until_a_week_is_over(folder: Path, boot: Path) -> None:
    wanted = files(folder)
    assert held(folder, boot, wanted) == [False, False]
    started(folder, boot, wanted)
    assert held(folder, boot, wanted) == [True, True]
    assert held(folder, boot, wanted, now=NOW + 7 * 86_400 - 1) == [True, True]
    assert held(folder, boot, wanted, now=NOW + 7 * 86_400) == [False, False]
    assert held(folder, boot, wanted, now=NOW - 1) == [False, False], "a clock that was set back"
    started(folder, boot, wanted, now=NOW + 86_400)
    assert held(folder, boot, wanted, now=NOW + 7 * 86_400) == [False, False], "it was not compared again"


def test_a_process_that_goes_on_writing_checkpoints_makes_no_sight_younger(folder: Path, boot: Path) -> None:
    wanted, now = files(folder), NOW
    seen = Seen(folder, boot=boot, clock=lambda: now)
    for file in wanted:
        seen.verify(file)
    for _ in range(60):
        seen.keep(wanted)
        now += 86_400
    assert held(folder, boot, wanted, now=now) == [False, False]
    started(folder, boot, wanted, now=now)
    assert held(folder, boot, wanted, now=now) == [True, True], "this start has read them"


def test_what_somebody_changed_is_not_certified_by_a_checkpoint(folder: Path, boot: Path) -> None:
    wanted = files(folder)
    seen = started(folder, boot, wanted)
    content = bytearray((folder / wanted[0].path).read_bytes())
    content[7] ^= 1
    (folder / wanted[0].path).write_bytes(content)
    for _ in range(2):
        seen.keep(wanted)
        assert held(folder, boot, wanted) == [False, True]
    with pytest.raises(Corrupt):
        started(folder, boot, wanted)


def test_a_file_that_is_written_as_it_is_read_is_read_again(
    folder: Path, boot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = files(folder)

    def read_while_written(path: Path, root: Path) -> FileSum:
        summed = file_sum(path, root)
        path.write_bytes(b"X" * summed.bytes)
        return summed

    monkeypatch.setattr("services.nn_shard.engine.seen.file_sum", read_while_written)
    seen = Seen(folder, boot=boot, clock=lambda: NOW)
    assert seen.sum(folder / wanted[0].path) == wanted[0]
    assert not seen.holds(wanted[0])


def test_what_this_process_wrote_and_hashed_or_somebody_restored_is_held(folder: Path, boot: Path) -> None:
    wanted = files(folder)
    seen = Seen(folder, boot=boot, clock=lambda: NOW)
    assert seen.sum(folder / wanted[0].path) == wanted[0]
    seen.take(wanted[1:])
    seen.keep(wanted)
    assert held(folder, boot, wanted) == [True, True]


def test_a_file_of_another_size_than_the_manifest_gives_is_never_held(folder: Path, boot: Path) -> None:
    cut = [FileSum(one.path, one.bytes + 1, one.sha256) for one in files(folder)]
    seen = Seen(folder, boot=boot, clock=lambda: NOW)
    seen.take(cut)
    seen.keep(cut)
    assert held(folder, boot, cut) == [False, False]


@pytest.mark.parametrize("how", ["written in place", "replaced", "touched back", "gone", "another sum", "another boot"])
def test_what_may_have_changed_is_not_held(folder: Path, boot: Path, how: str) -> None:
    wanted = files(folder)
    started(folder, boot, wanted)
    path = folder / wanted[0].path
    before = path.stat()
    match how:
        case "written in place":
            with path.open("r+b") as file:
                file.write(b"X")
        case "replaced":
            shutil.copy2(path, path.with_suffix(".copy"))
            path.with_suffix(".copy").replace(path)
        case "touched back":
            path.write_bytes(b"X" * before.st_size)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "gone":
            path.unlink()
        case "another sum":
            wanted[0] = FileSum(wanted[0].path, wanted[0].bytes, "0" * 64)
        case _:
            boot.write_text("second\n")
    assert held(folder, boot, wanted) == [False, how != "another boot"]


def test_where_no_boot_is_told_everything_is_read(folder: Path, boot: Path) -> None:
    boot.unlink()
    wanted = files(folder)
    started(folder, boot, wanted)
    assert held(folder, boot, wanted) == [False, False]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"segments/codes": [1, 2]}', b'{"a": {"b": 1}}'])
def test_notes_that_cannot_be_read_are_none(folder: Path, boot: Path, content: bytes) -> None:
    (folder / SEEN).write_bytes(content)
    wanted = files(folder)
    assert held(folder, boot, wanted) == [False, False]
    started(folder, boot, wanted)
    assert held(folder, boot, wanted) == [True, True]


def test_what_is_no_part_any_more_is_forgotten(folder: Path, boot: Path) -> None:
    wanted = files(folder)
    started(folder, boot, wanted).keep(wanted[1:])
    assert list(json.loads((folder / SEEN).read_bytes())) == [wanted[1].path]

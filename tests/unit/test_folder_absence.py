"""What is not there any more: deleted, or away with its disk."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.errors import Overloaded
from services.worker.ingest.absence import away, folders_of, judge
from tests.unit.folder_library import Library


async def described(library: Library) -> dict[str, tuple[str, ...]]:
    return {name: row.tags for name, row in (await library.rows()).items()}


@pytest.mark.parametrize("mount_point", ["empty", "gone", "another disk"])
async def test_a_disk_that_is_away_costs_no_picture_and_is_told(library: Library, tmp_path: Path, mount_point: str):
    library.add(*(f"disk/album/{number}.jpg" for number in range(9)), "disk/cover.jpg", "local.jpg")
    await library.ingest()
    before = await library.rows()
    (library.folder / "disk").rename(tmp_path / "away")
    if mount_point != "gone":
        (library.folder / "disk").mkdir()
    if mount_point == "another disk":
        library.add("disk/other.jpg")
    progress = await library.ingest()
    assert (progress.counts["vanished"], progress.counts["missing"]) == (0, 10)
    assert "forget_missing" in library.told["missing"]["advice"] and library.told["missing"]["folders"]
    after = await library.rows()
    assert after.keys() - {"other.jpg"} == before.keys() and all(after[name] == before[name] for name in before)
    shutil.rmtree(library.folder / "disk", ignore_errors=True)
    (tmp_path / "away").rename(library.folder / "disk")
    again = await library.ingest()
    assert (again.counts["unchanged"], again.counts["missing"], again.counts["changed"]) == (11, 0, 0)


async def test_an_empty_mount_point_beside_many_pictures_is_missing_too(library: Library):
    library.add(*(f"{number}.jpg" for number in range(50)), "disk/a/one.jpg", "disk/two.jpg")
    await library.ingest()
    shutil.rmtree(library.folder / "disk")
    (library.folder / "disk").mkdir()
    assert (await library.ingest()).counts["missing"] == 2


async def test_what_is_missing_is_forgotten_when_that_is_asked_for_and_its_description_is_not(library: Library):
    library.add("one.jpg", "two.jpg")
    (library.folder / "captions.json").write_text('{"one.jpg": {"tags": ["sea"]}}')
    await library.ingest()
    for path in library.folder.iterdir():
        path.unlink()
    assert (await library.ingest()).counts["missing"] == 2
    assert (await library.ingest(forget_missing=True)).counts["vanished"] == 2
    assert await library.rows() == {} and library.told == {}
    library.add("one.jpg")
    await library.ingest()
    assert await described(library) == {"one.jpg": ("sea",)}


async def test_single_files_that_were_deleted_are_taken_for_deleted(library: Library):
    library.add(*(f"album/{number}.jpg" for number in range(9)))
    await library.ingest()
    for number in range(4):
        (library.folder / "album" / f"{number}.jpg").unlink()
    progress = await library.ingest()
    assert (progress.counts["vanished"], progress.counts["missing"]) == (4, 0)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE])
async def test_what_a_disk_does_not_tell_is_no_deletion(
    library: Library, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    library.add("one.jpg", "two.jpg", "three.jpg", "album/four.jpg", "album/five.jpg")
    await library.ingest()
    (library.folder / "album/four.jpg").unlink()

    def failing(path: Path) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("services.worker.ingest.absence.open_folder", failing)
    if number in (errno.EMFILE, errno.ENFILE):
        with pytest.raises(Overloaded):
            await library.ingest()
    else:
        assert (await library.ingest()).counts["missing"] == 1
    assert len(await library.rows()) == 5
    monkeypatch.undo()
    assert (await library.ingest()).counts["vanished"] == 1


def test_a_name_that_cannot_be_looked_at_is_not_away(tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    uris = [(tmp_path / name).as_uri() for name in ("loop", "gone", "loop/below")]
    assert away(uris) == [(tmp_path / "gone").as_uri()]


paths = st.lists(st.sampled_from("ab"), min_size=0, max_size=3).map("/".join)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(paths, st.integers(1, 30), min_size=1), st.data())
def test_never_more_than_half_of_a_folder_vanishes_nor_all_of_the_source(
    held: dict[str, int], data: st.DataObject
) -> None:
    root = "file:///omma-test-nowhere"
    keys = [f"{root}/{folder}/{n}.jpg" if folder else f"{root}/{n}.jpg" for folder in held for n in range(held[folder])]
    absent = data.draw(st.lists(st.sampled_from(keys), unique=True, min_size=1))
    absence = judge(root, folders_of(keys), absent)
    assert sorted([*absence.gone, *absence.missing]) == sorted(absent)
    assert len(absence.gone) < len(keys)
    for folder in [root, *(f"{root}/{name}" for name in held if name)]:
        below = [key for key in keys if key.startswith(f"{folder}/")]
        gone = [key for key in absence.gone if key.startswith(f"{folder}/")]
        assert len(gone) <= 5 or 2 * len(gone) <= len(below)

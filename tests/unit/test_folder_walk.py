"""A walk through a folder: in which order, what it passes over, what it names."""

import os
import shutil
from pathlib import Path

import pytest

from omma.blobs.opening import is_gone, open_file
from omma.errors import InvalidQuery
from services.worker.ingest.folder import require_folder
from services.worker.ingest.walk import count_pictures, walk


def names(folder: Path) -> list[str]:
    return [str(found.path.relative_to(folder)) for found in walk(folder)]


def test_a_walk_is_sorted_and_passes_hidden_things_over(tmp_path: Path):
    for name in ("b.jpg", "a/z.png", "a/b.webp", ".hidden.jpg", ".git/x.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == ["b.jpg", "notes.txt", "a/b.webp", "a/z.png"], "a folder's files, then its folders"
    assert count_pictures(tmp_path) == 3


def test_a_walk_enters_no_folder_twice(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.JPG").touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == ["gone.jpg", "a/one.JPG"]


def test_a_walk_goes_as_deep_as_folders_do_and_names_what_it_cannot_look_at(tmp_path: Path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(60):  # 60 × 200 characters: longer than any path that the kernel takes
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.mkfifo("pipe.jpg", dir_fd=here)
    os.symlink("loop.jpg", "loop.jpg", dir_fd=here)
    os.symlink("nowhere", "new\nline.jpg", dir_fd=here)
    os.close(os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    found = {one.path.name: one for one in walk(tmp_path)}
    assert {name for name, one in found.items() if one.is_picture} == {"deep.jpg"}
    assert found["pipe.jpg"].kind == "no file" and not found["pipe.jpg"].reason
    assert found["loop.jpg"].reason and found["new\nline.jpg"].reason
    with open_file(found["deep.jpg"].path) as file:
        assert file.read() == b""
    assert not is_gone(found["deep.jpg"].path) and is_gone(found["new\nline.jpg"].path)
    shutil.rmtree(tmp_path / ("d" * 200))


def test_folders_that_a_system_keeps_are_nobodys_pictures(tmp_path: Path):
    for name in ("@eaDir/a.jpg", "#recycle", "$Recycle.Bin", "__MACOSX", "lost+found", "mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "thumb.jpg").touch()
    assert names(tmp_path / "mine") == ["thumb.jpg"]
    assert [str(one.path.relative_to(tmp_path)) for one in walk(tmp_path) if one.is_picture] == ["mine/thumb.jpg"]
    assert "folder @eaDir" in {one.kind for one in walk(tmp_path)}


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0)
    (found,) = walk(tmp_path)
    assert found.path.name == "closed" and "denied" in found.reason


@pytest.mark.parametrize(
    ("source", "words"), [("s3://bucket/x", "URL or bucket"), ("urls.txt", "is a file"), ("nowhere", "no folder")]
)
def test_what_is_no_folder_is_said_so(tmp_path: Path, source: str, words: str):
    (tmp_path / "urls.txt").touch()
    path = Path(source) if "://" in source else tmp_path / source
    with pytest.raises(InvalidQuery, match=words) as caught:
        require_folder(path)
    assert caught.value.field == "folder"

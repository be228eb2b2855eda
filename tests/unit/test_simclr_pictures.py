"""Photographs of a folder: split, decoded once, unreadable ones skipped; what they show."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from omma.errors import Absent, InvalidQuery
from omma.evaluation import held_out
from services.egs.manifest import Preprocessing
from tests.pictures import encoded, png_bomb, scene
from training.simclr.labels import label_numbers
from training.simclr.pictures import Decoded, decoded, find, read_picture

HOW = Preprocessing(size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    for number in range(12):
        path = folder / ("red" if number % 2 else "blue") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(scene(48, 40, number)))
    return folder


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Path], Decoded]:
    return lambda root: decoded(root, sorted(one.relative_to(root).as_posix() for one in root.rglob("*.*")),
                                HOW, tmp_path / "cache" / "x.rows", lambda _: None)  # fmt: skip


def test_no_photograph_is_trained_on_and_measured(root: Path):
    (root / ".hidden").mkdir()
    (root / ".hidden" / "1.jpg").touch()
    (root / "notes.txt").touch()
    found = find(root, 0.3)
    assert len(found.train) + len(found.held_out) == 12
    assert all(held_out(name, 0.3) for name in found.held_out) and not any(held_out(name, 0.3) for name in found.train)


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_photographs_is_said(tmp_path: Path, made: bool):
    if made:
        (tmp_path / "x").mkdir()
    with pytest.raises(Absent) as error:
        find(tmp_path / "x", 0.2)
    assert error.value.field == "data_root"


def test_rows_are_what_the_embedder_sees(root: Path, read: Callable[[Path], Decoded]):
    found = read(root)
    assert found.pixels.shape == (12, 32, 32, 3)
    for name, row in zip(found.names, found.pixels, strict=True):
        assert np.array_equal(row, read_picture(root / name, HOW))


def test_what_cannot_be_read_is_skipped_and_named(root: Path, read: Callable[[Path], Decoded]):
    whole = (root / "red" / "1.jpg").read_bytes()
    (root / "red" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "red" / "text.jpg").write_text("no picture")
    (root / "blue" / "bomb.png").write_bytes(png_bomb())
    found = read(root)
    assert set(found.skipped) == {"red/1.jpg", "red/text.jpg", "blue/bomb.png"} and all(found.skipped.values())
    assert len(found.names) == len(found.pixels) == 11


def test_a_folder_of_nothing_readable_is_refused(tmp_path: Path, read: Callable[[Path], Decoded]):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.jpg").write_text("no picture")
    with pytest.raises(InvalidQuery, match=r"1\.jpg"):
        read(tmp_path / "bad")


def test_pictures_are_decoded_once_until_one_changes(
    root: Path, read: Callable[[Path], Decoded], monkeypatch: pytest.MonkeyPatch
):
    before = np.array(read(root).pixels)
    with monkeypatch.context() as patch:
        patch.setattr("training.simclr.pictures.read_picture", None)
        assert np.array_equal(read(root).pixels, before)
    changed = root / "red" / "3.jpg"
    changed.write_bytes(encoded(scene(48, 40, 99)))
    os.utime(changed, ns=(0, 0))
    after = read(root)
    unlike = [name for name, one, other in zip(after.names, after.pixels, before, strict=True) if (one != other).any()]
    assert unlike == ["red/3.jpg"]


def test_folders_label_or_a_file_does_or_nothing(tmp_path: Path):
    assert label_numbers(["a/1.jpg", "b/2.jpg", "a/3.jpg"], None) == [0, 1, 0]
    assert label_numbers(["1.jpg", "2.jpg"], None) is None
    file = tmp_path / "labels.csv"
    file.write_text("image,sender,label\none,7,Hat\nx/two.jpg,8,Hat\nthree,8,Shoe\n")
    assert label_numbers(["x/one.jpg", "x/two.jpg", "x/three.jpg", "x/four.jpg"], file) == [0, 0, 1, 2]
    file.write_text("image,word\none,Hat\n")
    with pytest.raises(InvalidQuery, match="label"):
        label_numbers(["one.jpg"], file)

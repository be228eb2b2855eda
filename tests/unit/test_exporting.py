"""A folder of an export, whatever ends the one that writes it: its files are of one export, or some are not there."""

import base64
import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from omma.errors import Absent, InvalidQuery, OmmaError, WrongState
from services.standalone.exporting import EMBEDDINGS, INDEX, METADATA, export

DIM = 4
STAMPS = {"model": "m@1", "space": "s", "checksum": "c", "dim": DIM, "index": "main"}


class Pages:
    """Answers `GET /vectors` with so many pictures, two a page. beside: done before each."""

    def __init__(self, pictures: int, beside: Any = None) -> None:
        self._pictures = pictures
        self._beside = beside

    async def call(self, method: str, path: str, *, params: dict[str, Any]) -> dict[str, Any]:
        if self._beside is not None:
            await self._beside()
        at = int(params.get("cursor", 0))
        ids = range(at + 1, min(at + 2, self._pictures) + 1)
        vector = base64.b64encode(np.ones(DIM, "<f4").tobytes()).decode()
        page = STAMPS | {"images": [{"id": id, "vector": vector} for id in ids]}
        return page | {"next_cursor": str(at + 2)} if at + 2 < self._pictures else page


async def exported(folder: Path, pages: Pages) -> dict[str, Any]:
    return await export(pages, folder, "", lambda count: None)  # type: ignore[arg-type]  # the one call that is made


def sizes(folder: Path) -> set[int]:
    """Of what is there by its own name; nothing else is."""
    found = {path.name for path in folder.iterdir()}
    assert found <= {EMBEDDINGS, METADATA, INDEX}
    read = {
        EMBEDDINGS: lambda path: len(np.load(path)),
        METADATA: lambda path: len([json.loads(line) for line in path.read_text().splitlines()]),
        INDEX: lambda path: faiss.read_index(str(path)).ntotal,
    }
    return {read[name](folder / name) for name in found}


async def test_an_export_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    for pictures in (5, 3):
        assert (await exported(tmp_path, Pages(pictures)))["pictures"] == pictures
        assert sizes(tmp_path) == {pictures}
    np.testing.assert_allclose(np.load(tmp_path / EMBEDDINGS), np.full((3, DIM), 0.5))
    with pytest.raises(Absent):
        await exported(tmp_path, Pages(0))
    assert sizes(tmp_path) == {3}


@pytest.mark.parametrize("named", [0, 1, 2])
async def test_files_of_two_exports_never_lie_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int
) -> None:
    """It ends after so many of its files have their names: row n of one would be line n of another's other."""
    await exported(tmp_path, Pages(5))
    replace, done = Path.replace, 0

    def dies(self: Path, target: Path) -> Path:
        nonlocal done
        if done == named:
            raise KeyboardInterrupt
        done += 1
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            await exported(tmp_path, Pages(3))
    assert sizes(tmp_path) == ({3} if named else set())
    await exported(tmp_path, Pages(3))
    assert sizes(tmp_path) == {3}


async def test_two_exports_do_not_write_to_one_folder_at_once(tmp_path: Path) -> None:
    refused: list[OmmaError] = []

    async def another() -> None:
        try:
            await exported(tmp_path, Pages(1))
        except OmmaError as error:
            refused.append(error)

    await exported(tmp_path, Pages(3, beside=another))
    assert [type(one) for one in refused] == [WrongState, WrongState]
    assert sizes(tmp_path) == {3}


async def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidQuery, match="cannot be written"):
            await exported(place, Pages(1))
    (tmp_path / "out" / INDEX).mkdir(parents=True)
    with pytest.raises(InvalidQuery, match="cannot be written"):
        await exported(tmp_path / "out", Pages(1))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [INDEX]

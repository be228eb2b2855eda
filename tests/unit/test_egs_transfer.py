"""Models between a registry and a storage: verified, whole or not at all, and never another content."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.folder import FolderBlobs
from omma.errors import Absent, Corrupt, WrongState
from services.egs.manifest import ImageTower, Manifest, Preprocessing
from services.egs.registry import Model, list_models, load_model, register
from services.egs.transfer import list_remote, pull, push, set_current_remote


def registered(root: Path, version: str = "1.0.0", graph: bytes = b"a graph", **words: Any) -> Model:
    given = root.parent / "given.onnx"
    given.write_bytes(graph)
    manifest = Manifest(
        name="tiny",
        version=version,
        dim=8,
        image=ImageTower(file="tower.onnx", input="x", output="y"),
        preprocessing=Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        files={"tower.onnx": hashlib.sha256(graph).hexdigest()},
        **words,
    )
    return register(root, manifest, {"tower.onnx": given})


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FolderBlobs]:
    made = FolderBlobs(tmp_path / "storage")
    yield made
    await made.close()


async def keys(blobs: FolderBlobs) -> list[str]:
    return [key async for key in blobs.keys("")]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_model_goes_over_whole_and_twice_is_once(here: Path, there: Path, blobs: FolderBlobs) -> None:
    model = registered(here)
    for _ in range(2):
        assert await push(here, "tiny", blobs) == model.manifest
        pulled = await pull(blobs, "tiny", there)
        assert pulled.manifest == model.manifest
        assert pulled.path("tower.onnx").read_bytes() == b"a graph"
    assert await keys(blobs) == ["tiny/1.0.0/manifest.json", "tiny/1.0.0/tower.onnx"]
    assert names(there) == ["tiny"]


async def test_the_storage_keeps_versions_as_a_registry_does(here: Path, there: Path, blobs: FolderBlobs) -> None:
    registered(here)
    await push(here, "tiny", blobs)
    registered(there, licence="MIT")
    with pytest.raises(WrongState):
        await push(there, "tiny", blobs)
    with pytest.raises(WrongState):
        await pull(blobs, "tiny", there)
    registered(there.with_name("third"), "1.0.1", b"another graph")
    with pytest.raises(WrongState, match=r"1\.1\.0"):
        await push(there.with_name("third"), "tiny", blobs)
    assert [one.licence for one in await list_remote(blobs)] == [""]
    assert await blobs.get("tiny/1.0.0/tower.onnx") == b"a graph"


async def test_a_bare_name_is_the_storages_current_version_else_its_newest(
    here: Path, there: Path, blobs: FolderBlobs
) -> None:
    first = registered(here)
    registered(here, "1.10.0", b"another graph")
    registered(here, "1.9.0", b"a third graph")
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        await push(here, f"tiny@{version}", blobs)
    assert (await pull(blobs, "tiny", there)).manifest.version == "1.10.0"
    await set_current_remote(blobs, first.manifest)
    assert (await pull(blobs, "tiny", there)).manifest.version == "1.0.0"
    assert len(await list_remote(blobs, "tiny")) == 3
    for reference in ("tiny@7.0.0", "tin", ""):
        with pytest.raises(Absent):
            await pull(blobs, reference, there)


async def test_what_is_damaged_in_the_storage_never_becomes_an_entry(
    here: Path, there: Path, blobs: FolderBlobs
) -> None:
    registered(here)
    await push(here, "tiny", blobs)
    await blobs.put("tiny/1.0.0/tower.onnx", b"b graph")
    with pytest.raises(Corrupt, match=r"tower\.onnx"):
        await pull(blobs, "tiny", there)
    await blobs.delete("tiny/1.0.0/tower.onnx")
    with pytest.raises(Corrupt, match=r"tower\.onnx is missing"):
        await pull(blobs, "tiny", there)
    assert list_models(there) == []
    assert names(there) == []


async def test_a_push_that_ends_half_way_is_no_entry_and_is_done_again(
    here: Path, there: Path, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(here)
    with monkeypatch.context() as failing:
        failing.setattr(blobs, "put", _refuse)  # the manifest comes last
        with pytest.raises(OSError, match="gone"):
            await push(here, "tiny", blobs)
    assert await keys(blobs) == ["tiny/1.0.0/tower.onnx"]
    assert await list_remote(blobs) == []
    await push(here, "tiny", blobs)
    await pull(blobs, "tiny", there)


async def test_what_arrives_otherwise_is_refused(
    here: Path, blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(here)

    async def cut(key: str, path: Path) -> None:
        assert path.name == "tower.onnx"
        await blobs.put(key, b"a grap")

    monkeypatch.setattr(blobs, "put_file", cut)
    with pytest.raises(Corrupt):
        await push(here, "tiny", blobs)
    assert await list_remote(blobs) == []
    assert load_model(here, "tiny")


async def _refuse(*_: object, **__: object) -> None:
    raise OSError("the connection is gone")

"""A registry entry is closed, named by its folder, and verified to the last file."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from omma.errors import Absent, Corrupt
from services.egs.manifest import Preprocessing
from services.egs.registry import Model, list_models, load_model, register_onnx

HALF = Preprocessing(size=224, mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0))


def registered(root: Path, version: str = "1.0.0", name: str = "tiny", graph: bytes = b"a graph") -> Model:
    onnx = root.parent / f"{root.name}-tower.onnx"
    onnx.write_bytes(graph)
    return register_onnx(
        root, onnx, name=name, version=version, dim=8, image_input="x", image_output="y", preprocessing=HALF
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def rewrite(model: Model, **changes: Any) -> None:
    path = model.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_entry_is_found_by_name_and_version(root: Path) -> None:
    for version in ("1.9.0", "1.10.0", "0.1.0"):
        registered(root, version)
    registered(root, name="other")
    assert load_model(root, "tiny").manifest.version == "1.10.0"
    assert load_model(root, "tiny@1.9.0").manifest.reference == "tiny@1.9.0"
    assert [one.reference for one in list_models(root)] == ["other@1.0.0", "tiny@0.1.0", "tiny@1.9.0", "tiny@1.10.0"]


@pytest.mark.parametrize("reference", ["", "none", "tiny@2.0.0", "tiny@", "../tiny", "tiny@1.0.0@"])
def test_what_is_not_there_is_absent(root: Path, reference: str) -> None:
    registered(root)
    with pytest.raises(Absent) as error:
        load_model(root, reference)
    assert error.value.field == "model"
    assert "tiny@1.0.0" in error.value.detail


def test_a_wrong_checksum_is_corrupt_and_names_the_file(root: Path) -> None:
    model = registered(root)
    graph = model.path(model.manifest.image.file)
    graph.write_bytes(b"b graph")
    with pytest.raises(Corrupt, match=graph.name):
        load_model(root, "tiny")


def test_a_missing_file_is_corrupt_and_named(root: Path) -> None:
    model = registered(root)
    graph = model.path(model.manifest.image.file)
    graph.unlink()
    with pytest.raises(Corrupt, match=graph.name):
        load_model(root, "tiny")


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"dim": 0},
        {"version": "1.0"},
        {"version": "2.0.0"},
        {"name": "another"},
        {"files": {}},
        {"files": {"../../etc/passwd": "0" * 64}},
        {"image": {"file": "/etc/passwd", "input": "x", "output": "y"}},
        {"preprocessing": {"size": 224, "mean": [0, 0, 0], "std": [0, 1, 1]}},
        {"preprocessing": {"size": 224, "mean": [0, 0, 0], "std": [1, 1, 1], "layout": "NHWC"}},
    ],
)
def test_a_manifest_that_is_none_is_corrupt(root: Path, changes: dict[str, Any]) -> None:
    rewrite(registered(root), **changes)
    with pytest.raises(Corrupt, match=r"manifest\.json"):
        load_model(root, "tiny")


def test_registering_twice_keeps_the_first(root: Path) -> None:
    first = registered(root)
    again = registered(root, graph=b"another graph")
    assert again.manifest == first.manifest
    assert [path.name for path in root.iterdir()] == ["tiny"]


def test_arguments_that_make_no_manifest_leave_nothing(root: Path) -> None:
    with pytest.raises(ValidationError):
        registered(root, version="new")
    assert not list(root.iterdir())


def test_the_space_is_what_decides_a_vector(root: Path) -> None:
    space = registered(root).manifest.space(64)
    assert space.id == f"tiny-1.0.0-{space.signature[:8]}"
    assert (space.model, space.dim, space.buckets, space.metric) == ("tiny@1.0.0", 8, 64, "ip")

    manifest = load_model(root, "tiny").manifest
    words = manifest.model_copy(update={"licence": "MIT", "origin": "elsewhere", "name": "renamed"})
    assert words.signature() == manifest.signature()
    for update in ({"dim": 9}, {"preprocessing": HALF.model_copy(update={"resample": "bicubic"})}):
        assert manifest.model_copy(update=update).signature() != manifest.signature()
    assert registered(root, "1.0.1", graph=b"another graph").manifest.signature() != manifest.signature()

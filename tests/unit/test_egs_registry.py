"""A registry entry is closed, named by its folder, and verified to the last file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from omma.errors import Absent, Corrupt, InvalidQuery, WrongState
from omma.trained_on import MAX_BYTES, encode_middles
from services.egs.manifest import Drift, ImageTower, Manifest, Preprocessing, TextTower
from services.egs.registry import Model, current_version, list_models, load_model, register, set_current

HALF = Preprocessing(size=224, mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0))


def registered(
    root: Path,
    version: str = "1.0.0",
    name: str = "tiny",
    graph: bytes = b"a graph",
    card: bytes = b"",
    middles: bytes = b"",
    **words: Any,
) -> Model:
    folder = root.parent / f"{root.name}-given"
    folder.mkdir(exist_ok=True)
    files = {"tower.onnx": graph} | ({"card.md": card} if card else {})
    files |= {"middles.npy": middles} if middles else {}
    for file, content in files.items():
        (folder / file).write_bytes(content)
    manifest = Manifest(
        name=name,
        version=version,
        dim=8,
        image=ImageTower(file="tower.onnx", input="x", output="y"),
        preprocessing=HALF,
        files={file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        documents=("card.md",) if card else (),
        trained_on="middles.npy" if middles else None,
        **words,
    )
    return register(root, manifest, {file: folder / file for file in files})


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
        {"trained_on": "middles.npy"},
        {"trained_on": "tower.onnx"},
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


def test_what_it_was_trained_on_is_read_and_changes_no_vector(root: Path) -> None:
    assert registered(root).trained_on() is None
    middles = np.eye(3, 8, dtype=np.float16)
    said = registered(root, "1.0.1", middles=encode_middles(middles))
    assert said.manifest.signature() == load_model(root, "tiny@1.0.0").manifest.signature()
    found = said.trained_on()
    assert found is not None and np.array_equal(found, middles)


@pytest.mark.parametrize(
    "content",
    [
        b"no array",
        encode_middles(np.eye(3, 9, dtype=np.float16)),
        encode_middles(np.zeros((0, 8), np.float16)),
        encode_middles(np.zeros((1, 8), np.float16)),
        encode_middles(np.full((1, 8), np.nan, np.float16)),
        encode_middles(np.ones(8, np.float16)),
        encode_middles(np.ones((MAX_BYTES // 16 + 1, 8), np.float16)),
    ],
    ids=["no array", "dim", "none", "zero", "nan", "flat", "large"],
)
def test_what_is_no_sample_of_the_training_is_corrupt(root: Path, content: bytes) -> None:
    with pytest.raises(Corrupt, match="trained on"):
        registered(root, middles=content).trained_on()


def test_registering_again_word_for_word_is_no_error(root: Path) -> None:
    first = registered(root)
    assert registered(root).manifest == first.manifest
    assert [path.name for path in root.iterdir()] == ["tiny"]


@pytest.mark.parametrize("other", [{"graph": b"another graph"}, {"licence": "MIT"}])
def test_a_version_never_changes(root: Path, other: dict[str, Any]) -> None:
    first = registered(root)
    with pytest.raises(WrongState, match=r"1\.1\.0" if "graph" in other else r"1\.0\.1") as error:
        registered(root, **other)
    assert error.value.field == "version"
    assert load_model(root, "tiny").manifest == first.manifest
    assert first.path("tower.onnx").read_bytes() == b"a graph"
    assert [path.name for path in root.iterdir()] == ["tiny"]


def test_other_vectors_are_at_least_a_minor(root: Path) -> None:
    registered(root, "1.0.0")
    registered(root, "1.4.0", graph=b"a third graph")
    with pytest.raises(WrongState, match=r"1\.5\.0"):
        registered(root, "1.0.1", graph=b"another graph")
    registered(root, "1.1.0", graph=b"another graph")
    registered(root, "1.0.1", licence="MIT")
    registered(root, "2.0.0")
    assert len(list_models(root)) == 5


def test_a_patch_answers_from_the_same_space(root: Path) -> None:
    first = registered(root, "1.0.0", card=b"# A model")
    patched = registered(root, "1.0.1", card=b"# A model, and what it cannot do")
    assert patched.manifest.files != first.manifest.files
    assert patched.manifest.space().id == first.manifest.space().id
    assert patched.manifest.space().signature == first.manifest.space().signature
    assert registered(root, "1.1.0", card=b"# A model").manifest.space().id != first.manifest.space().id


def test_a_file_that_is_not_its_checksums_is_not_registered(root: Path) -> None:
    model = registered(root)
    given = root.parent / "given.onnx"
    given.write_bytes(b"a gr")
    manifest = model.manifest.model_copy(update={"version": "2.0.0"})
    with pytest.raises(Corrupt, match="sha256"):
        register(root, manifest, {"tower.onnx": given})
    with pytest.raises(InvalidQuery, match=r"other\.onnx"):
        register(root, manifest, {"other.onnx": given})
    assert [one.version for one in list_models(root)] == ["1.0.0"]
    assert [path.name for path in root.iterdir()] == ["tiny"]


def test_the_bare_name_means_the_current_version_else_the_newest(root: Path) -> None:
    registered(root, "1.0.0")
    registered(root, "1.1.0", graph=b"another graph")
    assert current_version(root, "tiny") is None
    assert load_model(root, "tiny").manifest.version == "1.1.0"
    set_current(root, "tiny@1.0.0")
    assert current_version(root, "tiny") == "1.0.0"
    assert load_model(root, "tiny").manifest.version == "1.0.0"
    assert load_model(root, "tiny@1.1.0").manifest.version == "1.1.0"
    assert len(list_models(root)) == 2
    with pytest.raises(Absent):
        set_current(root, "tiny@3.0.0")
    assert current_version(root, "tiny") == "1.0.0"


def test_a_pointer_to_nothing_is_absent_and_says_so(root: Path) -> None:
    registered(root, "1.0.0")
    (root / "tiny" / "current").write_text("7.0.0\n")
    with pytest.raises(Absent, match=r"current version is 7\.0\.0"):
        load_model(root, "tiny")


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
    assert registered(root, "1.1.0", graph=b"another graph").manifest.signature() != manifest.signature()
    drift = Drift(tower="image", against="torch", items=9, mean_cosine=1, worst_cosine=0.9)
    assert manifest.model_copy(update={"drift": (drift,), "precision": "int8"}).signature() == manifest.signature()


def test_a_setting_that_is_left_out_is_no_part_of_the_signature(root: Path) -> None:
    """So that manifests written before an optional setting existed keep their space."""
    manifest = registered(root).manifest
    said = json.loads(manifest.model_dump_json(exclude_none=True))
    chosen = {key: said[key] for key in ("image", "preprocessing", "files", "dim")} | {"metric": "ip"}
    canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
    assert manifest.signature() == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_tower_is_no_document(root: Path) -> None:
    said = registered(root).manifest.model_dump()
    text = TextTower(file="text.onnx", tokenizer="t.json", input="t", output="y", max_tokens=3)
    said["files"] |= {"text.onnx": "0" * 64, "t.json": "0" * 64}
    for documents in (("tower.onnx",), ("t.json",), ("absent.md",)):
        with pytest.raises(ValidationError):
            Manifest.model_validate(said | {"text": text, "documents": documents})

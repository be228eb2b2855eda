"""`omma model`: the registry from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from onnx_graphs import image_tower
from typer.testing import CliRunner

from services.egs.manifest import ImageTower, Manifest, Preprocessing
from services.egs.registry import load_model, register, sha256_of_file
from services.standalone.cli import command_line, model_make


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMMA_EGS__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("OMMA_DATA_DIR", str(tmp_path / "omma-data"))
    for version, seed in (("1.0.0", 0), ("1.1.0", 1)):
        onnx = tmp_path / "tower.onnx"
        onnx.write_bytes(image_tower(8, 5, seed))
        manifest = Manifest(
            name="tiny",
            version=version,
            dim=5,
            image=ImageTower(file="tower.onnx", input="pixels", output="vector"),
            preprocessing=Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
            files={"tower.onnx": sha256_of_file(onnx)},
        )
        register(tmp_path / "models", manifest, {"tower.onnx": onnx})
    return tmp_path / "models"


def omma(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(command_line(), ["model", *map(str, words)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def said(*words: object) -> Any:
    return json.loads(omma(*words, "--json"))


def test_the_current_version_is_shown_and_set(root: Path) -> None:
    assert said("current", "tiny") == {"model": "tiny@1.1.0", "pinned": False}
    assert said("current", "tiny@1.0.0") == {"model": "tiny@1.0.0", "pinned": True}
    assert said("current", "tiny") == {"model": "tiny@1.0.0", "pinned": True}
    assert {one["model"]: one["current"] for one in said("list") if one["model"].startswith("tiny@")} == {
        "tiny@1.0.0": True,
        "tiny@1.1.0": False,
    }
    manifest = load_model(root, "tiny").manifest
    shown = said("show", "tiny")
    assert (shown["version"], shown["signature"], shown["space"]) == (
        "1.0.0",
        manifest.signature(),
        manifest.space().id,
    )
    assert said("verify", "tiny")["ok"]
    omma("current", "tiny@3.0.0", code=3)


def test_a_model_goes_through_a_storage(root: Path, tmp_path: Path) -> None:
    assert said("push", "tiny@1.0.0", tmp_path / "store", "--current")["model"] == "tiny@1.0.0"
    omma("push", "tiny@1.1.0", tmp_path / "store")
    pulled = tmp_path / "pulled"
    assert said("pull", "tiny", tmp_path / "store", "--registry", pulled)["model"] == "tiny@1.0.0"
    assert load_model(pulled, "tiny").manifest == load_model(root, "tiny@1.0.0").manifest
    assert "s3://" in omma("push", "tiny", "ftp://x/y", code=2)


def test_a_triton_repository_is_rendered(root: Path, tmp_path: Path) -> None:
    (name,) = said("triton-repo", "tiny@1.0.0", tmp_path / "repo", "--platform", "python")["models"]
    model = load_model(root, "tiny@1.0.0")
    assert name == f"{model.manifest.space().id}-image"
    folder = tmp_path / "repo" / name
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "config.pbtxt",
        "1/model.py",
        "1/tower.onnx",
    }
    assert model.manifest.signature() in (folder / "config.pbtxt").read_text()
    (again,) = said("triton-repo", "tiny@1.0.0", tmp_path / "repo")["models"]
    assert again == name
    assert not (folder / "1" / "model.py").exists()
    assert [path.name for path in (tmp_path / "repo").iterdir()] == [name]


def test_exporting_without_torch_says_what_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_make.importlib.util, "find_spec", lambda _name: None)
    assert "extra `train`" in omma("export", "--open-clip", "ViT-B-32/openai", code=2)

"""`omma model push | pull` against a real object storage, addressed as a user addresses it."""

import hashlib
from pathlib import Path

import pytest
from onnx_graphs import image_tower
from typer.testing import CliRunner

from deploy.parts import Minio
from services.egs.manifest import ImageTower, Manifest, Preprocessing
from services.egs.registry import load_model, register
from services.standalone.cli import command_line
from tests.buckets import bucket_settings


def test_a_model_goes_through_s3(minio: Minio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = image_tower(8, 5)
    onnx = tmp_path / "tower.onnx"
    onnx.write_bytes(graph)
    manifest = Manifest(
        name="tiny",
        version="1.0.0",
        dim=5,
        image=ImageTower(file="tower.onnx", input="pixels", output="vector"),
        preprocessing=Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        files={"tower.onnx": hashlib.sha256(graph).hexdigest()},
    )
    register(tmp_path / "models", manifest, {"tower.onnx": onnx})
    settings = bucket_settings(minio)
    monkeypatch.setenv("OMMA_EGS__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("OMMA_DATA_DIR", str(tmp_path / "omma-data"))
    monkeypatch.setenv("OMMA_S3__BUCKET", "pictures")  # of the pictures; the address names the models' own
    monkeypatch.setenv("OMMA_S3__ENDPOINT", settings.endpoint)
    monkeypatch.setenv("OMMA_S3__ACCESS_KEY", settings.access_key)
    monkeypatch.setenv("OMMA_S3__SECRET_KEY", settings.secret_key.get_secret_value())
    monkeypatch.setenv("OMMA_S3__CREATE_BUCKET", "true")
    place = f"s3://{settings.bucket}/our/models"
    for words in (["push", "tiny", place, "--current"], ["pull", "tiny", place, "--registry", str(tmp_path / "other")]):
        for _ in range(2):
            done = CliRunner().invoke(command_line(), ["model", *words])
            assert done.exit_code == 0, done.output
    pulled = load_model(tmp_path / "other", "tiny")
    assert pulled.manifest == manifest
    assert pulled.path("tower.onnx").read_bytes() == graph

"""A registry with two small models, whose vectors mean nothing to each other."""

import hashlib
from pathlib import Path

from services.egs.manifest import ImageTower, Manifest, Preprocessing
from services.egs.registry import register
from tests.onnx_graphs import image_tower

SIDE, DIM = 16, 32
A, B = "tiny@1.0.0", "tiny@2.0.0"
BLIND = "tiny@9.0.0"


def register_two(root: Path) -> None:
    """tiny@1.0.0 and tiny@2.0.0 in this folder, which is made."""
    root.mkdir(parents=True)
    for version, seed in (("1.0.0", 1), ("2.0.0", 2)):
        _register(root, version, image_tower(SIDE, DIM, seed))


def register_blind(root: Path) -> None:
    """tiny@9.0.0, which tells no two pictures apart."""
    _register(root, "9.0.0", image_tower(SIDE, DIM, 9, blind=True))


def _register(root: Path, version: str, graph: bytes) -> None:
    path = root.parent / f"{version}.onnx"
    path.write_bytes(graph)
    manifest = Manifest(
        name="tiny",
        version=version,
        dim=DIM,
        image=ImageTower(file="image.onnx", input="pixels", output="vector"),
        preprocessing=Preprocessing(size=SIDE, mean=(128.0,) * 3, std=(128.0,) * 3),
        files={"image.onnx": hashlib.sha256(graph).hexdigest()},
    )
    register(root, manifest, {"image.onnx": path})

"""MobileNetEdgeTPU (ImageNet-1k): omma-mini's second opinion, and for tests a model that knows no words."""

from pathlib import Path
from typing import Final

from services.egs.manifest import ImageTower, Manifest, Preprocessing
from services.egs.registry import Model, register, sha256_of_file

ONNX_NAME: Final = "mobilenet_edgetpu_224_1.0_f32.onnx"


def register_teacher(folder: Path, root: Path) -> Model:
    """A registry entry under `root` for the ONNX file in `folder`. 1280-d, no text tower. Blocks.

    Source: mlcommons/mobile_models, de-quantised to float32. Raises FileNotFoundError.
    """
    manifest = Manifest(
        name="mobilenet-edgetpu",
        version="1.0.0",
        dim=1280,
        image=ImageTower(file=ONNX_NAME, input="input", output="embedding"),
        preprocessing=Preprocessing(size=224, mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0)),
        files={ONNX_NAME: sha256_of_file(folder / ONNX_NAME)},
        licence="Apache-2.0",
        origin="mlcommons/mobile_models, MobileNetEdgeTPU 1.0 224, ImageNet-1k",
    )
    return register(root, manifest, {ONNX_NAME: folder / ONNX_NAME})

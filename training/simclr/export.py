"""The trained model as a registry entry: ONNX, compared with torch before anybody is served by it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from omma.errors import Corrupt
from omma.vectors import Float32
from services.egs.manifest import ImageTower, Manifest, Preprocessing
from services.egs.preprocess import tensor
from services.egs.registry import Model, list_models, load_model, register, sha256_of_file
from services.egs.tower import Tower
from training.simclr.embedder import Embedder
from training.simclr.pictures import UInt8
from training.trained_on import FILE as TRAINED_ON

FILE: Final = "image.onnx"
INPUT: Final = "pixels"
OUTPUT: Final = "vector"
LEAST_COSINE: Final = 0.999
_CHECKED: Final = 1000

Layer = Literal["head", "backbone"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """ONNX Runtime beside torch: the worst cosine, over so many photographs."""

    worst_cosine: float
    pictures: int


class _Vectors(nn.Module):
    def __init__(self, model: Embedder, layer: Layer) -> None:
        super().__init__()
        self.model, self.layer = model, layer

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model(pixels) if self.layer == "head" else self.model.features(pixels)


def write_onnx(model: Embedder, layer: Layer, side: int, path: Path) -> None:
    """`pixels` float32[n, 3, side, side] to `vector` float32[n, dim], any n. In evaluation mode, on the CPU. Blocks."""
    module = _Vectors(model.cpu().to(memory_format=torch.contiguous_format), layer).eval()
    torch.onnx.export(
        module,
        (torch.zeros(2, 3, side, side),),
        path,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        external_data=False,
        verbose=False,
    )


def compared(path: Path, pixels: UInt8, how: Preprocessing, expected: Float32) -> Agreement:
    """Run the file as the embedder does. pixels: uint8[n, side, side, 3]; expected: torch's unit rows for them.

    Raises Corrupt when a cosine is below LEAST_COSINE. Blocks.
    """
    count = min(len(pixels), _CHECKED)
    tower = Tower(path, "image", input=INPUT, output=OUTPUT, dim=expected.shape[1], wide_threads=1)
    worst = 1.0
    for number in range(count):
        (row,) = tower.run(tensor(pixels[number : number + 1], how), wide=False)
        if isinstance(row, Exception):
            raise row
        worst = min(worst, float(np.dot(row.astype(np.float64), expected[number].astype(np.float64))))
    if worst < LEAST_COSINE:
        raise Corrupt(f"The exported model is not the trained one: cosine {worst:.6f} on one of {count} photographs.")
    return Agreement(worst, count)


def registered(
    root: Path,
    onnx: Path,
    trained_on: Path,
    *,
    name: str,
    version: str | None,
    dim: int,
    how: Preprocessing,
    licence: str,
    origin: str,
) -> Model:
    """An entry of these files; without a version the one that holds the same vectors, or the next minor. Blocks.

    Raises WrongState, field `version`, for one that is taken.
    """
    known = list_models(root, name)
    manifest = Manifest(
        name=name,
        version=version or _next_minor(known),
        dim=dim,
        image=ImageTower(file=FILE, input=INPUT, output=OUTPUT),
        preprocessing=how,
        files={FILE: sha256_of_file(onnx), TRAINED_ON: sha256_of_file(trained_on)},
        trained_on=TRAINED_ON,
        licence=licence,
        origin=origin,
    )
    if version is None and known and known[-1].signature() == manifest.signature():
        return load_model(root, known[-1].reference)
    return register(root, manifest, {FILE: onnx, TRAINED_ON: trained_on})


def _next_minor(known: list[Manifest]) -> str:
    if not known:
        return "0.1.0"
    major, minor, _ = known[-1].version_key
    return f"{major}.{minor + 1}.0"

"""How far an entry's vectors lie from torch's: cosines, item by item."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2

from omma.images import PictureFile, PictureLimits
from omma.vectors import Float32
from services.egs.client import ImageItem
from services.egs.manifest import Drift, Manifest
from services.egs.preprocess import prepare, tensor
from services.egs.text import Words
from services.egs.tower import Tower

_BATCH: Final = 8
_THREADS: Final = 1


@dataclass(frozen=True, slots=True)
class Cosines:
    """tower: both given the same tensor. whole: each from the picture or the words, by its own preprocessing.

    apart: torch's vectors of neighbouring items with each other, for scale: cosines near 1 say little where it is too.
    """

    tower: npt.NDArray[np.float64]
    whole: npt.NDArray[np.float64]
    apart: npt.NDArray[np.float64]

    def drift(self, kind: Literal["image", "text"]) -> Drift:
        """The whole way, for the manifest."""
        return Drift(
            tower=kind,
            against="torch",
            items=len(self.whole),
            mean_cosine=round(min(1.0, float(self.whole.mean())), 7),
            worst_cosine=round(min(1.0, float(self.whole.min())), 7),
        )


def image_cosines(
    model: torch.nn.Module, half: torch.nn.Module, folder: Path, manifest: Manifest, pictures: Sequence[bytes]
) -> Cosines:
    """half: torch's image tower; folder: of the entry, finished or not. Blocks, about 0.3 s a picture for ViT-B/32."""
    tower = _tower(folder, manifest, "image")
    transform = image_transform_v2(PreprocessCfg(**open_clip.get_model_preprocess_cfg(model)), is_train=False)
    limits, how = PictureLimits(), manifest.preprocessing
    theirs: list[torch.Tensor] = []
    ours: list[Float32] = []
    for content in pictures:
        theirs.append(transform(PictureFile(content, limits).decode().pixels))
        ours.append(tensor(prepare(ImageItem(content), limits, how).rows, how)[0])
    return _compare(half, tower, torch.stack(theirs), np.stack(ours))


def text_cosines(
    architecture: str, half: torch.nn.Module, folder: Path, manifest: Manifest, texts: Sequence[str]
) -> Cosines:
    """As image_cosines, from words. The manifest has a text tower."""
    assert manifest.text is not None
    theirs = open_clip.get_tokenizer(architecture)(list(texts))
    ours = Words(folder / manifest.text.tokenizer, manifest.text)(texts)
    return _compare(half, _tower(folder, manifest, "text"), theirs, ours)


def _compare(half: torch.nn.Module, tower: Tower, theirs: torch.Tensor, ours: npt.NDArray[Any]) -> Cosines:
    with torch.inference_mode():
        expected = np.concatenate([half(part).numpy() for part in torch.split(theirs, _BATCH)]).astype(np.float64)
    same = _run(tower, theirs.numpy())
    whole = _run(tower, ours)
    return Cosines(
        tower=(expected * same).sum(axis=1),
        whole=(expected * whole).sum(axis=1),
        apart=(expected * np.roll(expected, 1, axis=0)).sum(axis=1)[1:],
    )


def _run(tower: Tower, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    made: list[npt.NDArray[np.float64]] = []
    for at in range(len(inputs)):
        (row,) = tower.run(inputs[at : at + 1], wide=False)
        if isinstance(row, Exception):
            raise row
        made.append(row.astype(np.float64))
    return np.stack(made)


def _tower(folder: Path, manifest: Manifest, kind: Literal["image", "text"]) -> Tower:
    which = manifest.image if kind == "image" else manifest.text
    assert which is not None
    return Tower(
        folder / which.file, kind, input=which.input, output=which.output, dim=manifest.dim, wide_threads=_THREADS
    )

"""Golden pairs: drawn pictures, the vector that each must have, and the vectors that drifts would give it.

The gallery is kept; queries are embedded anew. A query's nearest neighbour in the gallery must be its own vector. When
preprocessing drifts, the query comes to lie on the decoy of that drift instead.

Make the file again, for a new version of the model: `PYTHONPATH=tests python -m golden.pairs NAME@VERSION`.
"""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from golden.drawn import drawn
from golden.drifts import drifts

from omma.images import PictureLimits
from omma.rpc.deadline import Deadline
from omma.vectors import Float32, normalise
from services.egs.client import EmbeddedItem, ImageItem
from services.egs.embedder import OnnxEmbedder
from services.egs.preprocess import prepare, tensor
from services.egs.registry import Model, load_model
from services.egs.settings import EgsSettings
from services.egs.tower import Tower, first_fault

Vectors = dict[str, Float32]
"""Name of a drawn picture to float32[dim], unit."""

LEAST_COSINE: Final = 0.9999
"""Of a query with its own vector: machines differ by less, one ONNX Runtime from another too."""
LEAST_GAP: Final = 5e-4
"""1 - cosine from a query's own vector that makes a decoy worth keeping: five times what machines may differ by."""
_FOLDER: Final = Path(__file__).parent
_ROOT: Final = _FOLDER.parents[1]


@dataclass(frozen=True, slots=True)
class Gallery:
    """vectors: float32[n, dim], unit. names: `picture` for its own vector, `picture/drift` for a decoy."""

    signature: str
    names: tuple[str, ...]
    vectors: Float32

    def faults(self, queries: Mapping[str, Float32]) -> list[str]:
        """What is wrong with these vectors of the drawn pictures; empty when their neighbours are the known ones."""
        found = []
        for name, vector in queries.items():
            scores = self.vectors @ vector
            nearest = self.names[int(np.argmax(scores))]
            own = float(scores[self.names.index(name)])
            if nearest != name or own < LEAST_COSINE:
                found.append(f"{name} is nearest to {nearest}, and {own:.5f} to its own vector")
        return found

    def save(self, file: Path) -> None:
        np.savez_compressed(
            file, signature=self.signature, names=np.array(self.names), vectors=self.vectors.astype(np.float16)
        )

    @staticmethod
    def load(file: Path) -> "Gallery":
        with np.load(file, allow_pickle=False) as kept:
            vectors = normalise(kept["vectors"].astype(np.float32))  # float16 rows are off by up to 1e-4
            return Gallery(str(kept["signature"]), tuple(kept["names"].tolist()), vectors)


def gallery_file(model: Model) -> Path:
    return _FOLDER / f"{model.manifest.name}-{model.manifest.version}.npz"


def embedded(model: Model) -> Vectors:
    """Vectors of the drawn pictures, by the embedder that serves. Blocks."""
    return asyncio.run(_embedded(model))


def drifted(model: Model) -> dict[str, Vectors]:
    """Name of each drift to the vectors of the drawn pictures with it: serving code, step by step. Blocks."""
    image, how = model.manifest.image, model.manifest.preprocessing
    path = model.path(image.file)
    tower = Tower(path, "image", input=image.input, output=image.output, dim=model.manifest.dim, wide_threads=1)
    made = {}
    for drift in drifts(how):
        said = drift.say(how)
        with pytest.MonkeyPatch.context() as patch:
            drift.do(patch)
            rows = [prepare(ImageItem(content), PictureLimits(), said).rows for content in drawn().values()]
        vectors = [first_fault(tower.run(tensor(one, said), wide=False)) for one in rows]
        made[drift.name] = {
            name: vector[0] for name, vector in zip(drawn(), vectors, strict=True) if not isinstance(vector, Exception)
        }
    return made


def make_gallery(model: Model, right: Vectors, wrong: Mapping[str, Vectors]) -> Gallery:
    """The pictures' own vectors, and every decoy that lies far enough from them; of `embedded` and `drifted`."""
    made = dict(right)
    for drift, vectors in wrong.items():
        for name, vector in vectors.items():
            if 1 - float(vector @ right[name]) >= LEAST_GAP:
                made[f"{name}/{drift}"] = vector
    return Gallery(model.manifest.signature(), tuple(made), np.stack([*made.values()]))


async def _embedded(model: Model) -> Vectors:
    pictures = drawn()
    embedder = await asyncio.to_thread(OnnxEmbedder, model, EgsSettings())
    try:
        answers = await embedder.embed([ImageItem(content) for content in pictures.values()], Deadline.after(100))
    finally:
        await embedder.close()
    made = {}
    for name, answer in zip(pictures, answers, strict=True):
        if not isinstance(answer, EmbeddedItem):
            raise answer
        made[name] = answer.vectors[0]
    return made


if __name__ == "__main__":
    chosen = load_model(_ROOT / "models", sys.argv[1])
    gallery = make_gallery(chosen, embedded(chosen), drifted(chosen))
    gallery.save(gallery_file(chosen))
    for one in drifts(chosen.manifest.preprocessing):
        print(f"{one.name}: {sum(name.endswith(f'/{one.name}') for name in gallery.names)} decoys")
    print(gallery_file(chosen))

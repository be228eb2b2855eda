"""A model's towers in ONNX Runtime, checked."""

import numpy as np

from omma.errors import Corrupt
from services.egs.manifest import Manifest
from services.egs.preprocess import Pixels, Uint8Rows
from services.egs.registry import Model
from services.egs.text import Words
from services.egs.tower import Tower


def load_image_tower(model: Model, wide_threads: int) -> tuple[Tower, Pixels]:
    """The tower, tried once, and what it eats. Raises Corrupt for a graph that is not its manifest's. Blocks."""
    manifest = model.manifest
    tower = Tower(
        model.path(manifest.image.file),
        "image",
        input=manifest.image.input,
        output=manifest.image.output,
        dim=manifest.dim,
        wide_threads=wide_threads,
    )
    pixels = Pixels(manifest.preprocessing)
    # The first run of a session allocates, and shows a graph that is not its manifest's.
    for wide in (False, True):
        (row,) = tower.run(pixels([grey_picture(manifest)]), wide=wide)
        if isinstance(row, Corrupt):
            raise row
    return tower, pixels


def load_windows_tower(model: Model, wide_threads: int) -> tuple[Tower, Pixels]:
    """As load_image_tower, of both outputs: each row float32[1 + count, dim]. The model has windows. Blocks.

    ONNX Runtime computes every output of a graph, asked for or not: 10.7 ms a picture without windows, 11.8 with. So
    the tower that searches use stays without.
    """
    manifest, said = model.manifest, model.manifest.windows
    if said is None:
        raise ValueError(f"{manifest.reference} has no windows")
    tower = Tower(
        model.path(manifest.image.file),
        "image",
        input=manifest.image.input,
        output=manifest.image.output,
        dim=manifest.dim,
        wide_threads=wide_threads,
        second=said.output,
        added=model.path(said.file),
    )
    pixels = Pixels(manifest.preprocessing)
    (rows,) = tower.run(pixels([grey_picture(manifest)]), wide=False)
    if isinstance(rows, Corrupt):
        raise rows
    if not isinstance(rows, Exception) and len(rows) != 1 + said.count:
        raise Corrupt(f"{model.path(said.file)} gives {len(rows) - 1} windows, and its manifest says {said.count}.")
    return tower, pixels


def load_text_tower(model: Model, wide_threads: int) -> tuple[Tower, Words] | None:
    """As load_image_tower; None for a model without one. Raises Corrupt for a tokenizer that is none, too. Blocks."""
    said = model.manifest.text
    if said is None:
        return None
    words = Words(model.path(said.tokenizer), said)
    tower = Tower(
        model.path(said.file),
        "text",
        input=said.input,
        output=said.output,
        dim=model.manifest.dim,
        wide_threads=wide_threads,
        second=said.confidence,
    )
    tower.run(words(["a"]), wide=True)
    return tower, words


def grey_picture(manifest: Manifest) -> Uint8Rows:
    """uint8[1, size, size, 3], to try a tower with."""
    size = manifest.preprocessing.size
    return np.full((1, size, size, 3), 128, np.uint8)

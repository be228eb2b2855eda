"""What a model is measured on: photographs and sentences, the same ones every time."""

import hashlib
import io
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from omma.errors import InvalidQuery

_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp"}
_PLACES: Final = ("", "in the snow", "on a wooden table", "at night", "behind a fence", "in my hand")
_COLOURS: Final = ("", "red", "blue", "dark green", "black and white", "golden")
_THINGS: Final = ("dog", "sailing boat", "pair of shoes", "bicycle", "bowl of soup", "lighthouse", "accordion", "face")
_FRAMES: Final = ("a photo of a {}", "{}", "The best {} I've ever seen!", "a close-up of the {}, 35mm")


def photographs(folder: Path, count: int) -> list[bytes]:
    """At most count of the folder's pictures, spread over all of it by the hash of their names. Blocks.

    Raises InvalidQuery, field `photographs`, when there is none.
    """
    found = [path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES]
    if not found:
        raise InvalidQuery(f"{folder} has no pictures.", field="photographs")
    found.sort(key=lambda path: hashlib.sha256(str(path.relative_to(folder)).encode()).digest())
    return [path.read_bytes() for path in found[:count]]


def drawn(count: int) -> list[bytes]:
    """PNG pictures of soft coloured clouds, for a machine without photographs."""
    return list(islice(_clouds(), count))


def sentences(count: int) -> list[str]:
    """At most 1,152 different ones, as people search."""
    every = product(_FRAMES, _COLOURS, _THINGS, _PLACES)
    return [" ".join(frame.format(" ".join(words)).split()) for frame, *words in islice(every, count)]


def _clouds() -> Iterator[bytes]:
    random = np.random.default_rng(0)
    while True:
        coarse = random.integers(0, 256, (*random.integers(2, 12, 2), 3), np.uint8)
        picture = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        picture.save(file, "PNG")
        yield file.getvalue()

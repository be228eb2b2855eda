"""What tells copies of a picture: finer than a pHash of 64 bits, and versioned, so that it can get better."""

from typing import Final

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

VERSION: Final = 1
BYTES: Final = 114
"""Of version 1."""

_HASH_SIDE: Final = 16
_FIELDS: Final = 4
_SEEN_SIDE: Final = 256
_BORDER_LEVELS: Final = 12
"""Of 255 that a plain border's pixels may differ from its corner: JPEG at quality 10 adds up to nine."""
_BORDER_SHARE: Final = 0.01
_LEAST_AREA: Final = 0.2


def signature(picture: Image.Image) -> bytes:
    """The version, 1 byte; two pHashes of 256 bits, of the picture and of it without its plain border; how much its
    greys vary, 1 byte (twice the standard deviation, at most 255); the mean Y, Cb and Cr of 4 x 4 fields, 48 bytes.

    picture: upright RGB, as `Picture.reduced(512)` leaves it; looked at with 256 pixels a side. Blocks.
    Measured on 240 photographs in 22 edits, and on all pairs of 1,800 garments, watches, motorcycles and cars: 16 bits
    of 256 or fewer, of either hash, lie between a photograph and 88 % or more of its copies by JPEG, scaling, grey,
    light, sharpness and border, and between no two others. Crops of 5 %, turns and mirror images it does not tell.
    """
    seen = picture.copy()
    seen.thumbnail((_SEEN_SIDE, _SEEN_SIDE), Image.Resampling.BOX)
    trimmed = _without_border(seen)
    whole = _hash(seen)
    inner = whole if trimmed is seen else _hash(trimmed)
    return b"".join([bytes([VERSION]), whole, inner, _variation(seen), _colours(seen)])


def _hash(picture: Image.Image) -> bytes:
    return np.packbits(imagehash.phash(picture, hash_size=_HASH_SIDE).hash).tobytes()


def _variation(picture: Image.Image) -> bytes:
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)
    return bytes([min(255, round(2 * float(grey.std())))])


def _colours(picture: Image.Image) -> bytes:
    return picture.resize((_FIELDS, _FIELDS), Image.Resampling.BOX).convert("YCbCr").tobytes()


def _without_border(picture: Image.Image) -> Image.Image:
    """The picture itself when it has no border of one colour, or little else."""
    levels = np.asarray(picture, np.int16)
    inside = np.abs(levels - levels[0, 0]).max(axis=2) > _BORDER_LEVELS
    left, right = _ends(inside.mean(axis=0))
    top, bottom = _ends(inside.mean(axis=1))
    if (right - left) * (bottom - top) < _LEAST_AREA * inside.size or (right - left, bottom - top) == picture.size:
        return picture
    return picture.crop((left, top, right, bottom))


def _ends(share: npt.NDArray[np.float64]) -> tuple[int, int]:
    """First and one past the last line that is no border; both 0 when all are."""
    found = np.flatnonzero(share > _BORDER_SHARE)
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)

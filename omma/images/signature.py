"""What tells copies of a picture: finer than a pHash of 64 bits, and versioned, so that it can get better."""

from typing import Final

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

VERSION: Final = 2
HASH_SIDE: Final = 16
HASH_BYTES: Final = HASH_SIDE**2 // 8
LIGHT_SIDE: Final = 16
COLOUR_SIDE: Final = 4
FIELD_BYTES: Final = LIGHT_SIDE**2 + 2 * COLOUR_SIDE**2
CROPS: Final = (0.95, 0.9)
"""Of both sides, what is left of the middle: what a crop of about so much is compared with."""
HEAD_BYTES: Final = 3
WHOLE_BYTES: Final = HEAD_BYTES + HASH_BYTES + FIELD_BYTES + len(CROPS) * HASH_BYTES
INNER_BYTES: Final = HASH_BYTES + FIELD_BYTES

_HASHED_SIDE: Final = 4 * HASH_SIDE
"""imagehash's own."""
_SEEN_SIDE: Final = 256
_BORDER_LEVELS: Final = 12
"""Of 255 that a plain border's pixels may differ from its corner: JPEG at quality 10 adds up to nine."""
_BORDER_SHARE: Final = 0.01
_LEAST_AREA: Final = 0.2
_ALIKE_LEVELS: Final = 6
_VARIATION_SIDE: Final = 32

_Box = tuple[float, float, float, float]


def signature(picture: Image.Image) -> bytes:
    """Version 2: the version; how much its greys vary (twice their standard deviation); which share of it is of one
    grey, of 255; 1 byte each. Then a view of the picture, the pHashes of its middle (CROPS), and, where it has a plain
    border, a view of what the border surrounds. A view: a pHash of 256 bits; the light (Y) of 16 x 16 fields, the
    colours (Cb, Cr) of 4 x 4. 387 or 707 bytes.

    picture: upright RGB, as `Picture.reduced(512)` leaves it; looked at with 256 pixels a side. Blocks.
    `omma.copies` compares them. Version 1 had two pHashes and 4 x 4 colours: nothing in it told invoices of one form
    from each other, which lie up to 10 bits of 256 apart.
    """
    seen = picture.copy()
    seen.thumbnail((_SEEN_SIDE, _SEEN_SIDE), Image.Resampling.BOX)
    grey = seen.convert("L")
    whole = (0, 0, *seen.size)
    variation, plain = plainness(grey)
    head = (VERSION, min(255, round(2 * variation)), round(255 * plain))
    parts = [bytes(head), _hash(grey, whole), _fields(seen, grey)]
    parts += [_hash(grey, _middle(seen.size, share)) for share in CROPS]
    inner = without_border(seen)
    if inner != whole:  # cropped first: with a box of its own, resize would let the border seep in
        seen, grey = seen.crop(inner), grey.crop(inner)
        parts += [_hash(grey, (0, 0, *seen.size)), _fields(seen, grey)]
    return b"".join(parts)


def _hash(grey: Image.Image, box: _Box) -> bytes:
    """imagehash.phash of the box."""
    side = (_HASHED_SIDE, _HASHED_SIDE)
    seen = grey.resize(side, Image.Resampling.LANCZOS, box)
    return np.packbits(imagehash.phash(seen, hash_size=HASH_SIDE).hash).tobytes()


def _fields(picture: Image.Image, grey: Image.Image) -> bytes:
    # BOX takes a pixel or leaves it: of a picture of 88 pixels, fields were up to 20 levels off its larger self's.
    light = grey.resize((LIGHT_SIDE, LIGHT_SIDE), Image.Resampling.BILINEAR)
    colours = picture.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BILINEAR).convert("YCbCr")
    return light.tobytes() + np.asarray(colours)[..., 1:].tobytes()


def _middle(size: tuple[int, int], share: float) -> _Box:
    across, down = (1 - share) / 2 * size[0], (1 - share) / 2 * size[1]
    return across, down, size[0] - across, size[1] - down


def plainness(grey: Image.Image) -> tuple[float, float]:
    """Standard deviation of the greys, and the share that is of one grey, 0 … 1."""
    counts = np.array(grey.histogram())
    alike = np.convolve(counts, np.ones(2 * _ALIKE_LEVELS + 1), "same").max() / counts.sum()
    side = (_VARIATION_SIDE, _VARIATION_SIDE)
    small = np.asarray(grey.resize(side, Image.Resampling.BOX), np.float32)
    return float(small.std()), float(alike)


def without_border(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom; all of the picture when it has no border of one colour, or little else."""
    corner = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    red, green, blue = ImageChops.difference(picture, corner).split()
    inside = np.asarray(ImageChops.lighter(ImageChops.lighter(red, green), blue)) > _BORDER_LEVELS
    left, right = _ends(inside.mean(axis=0))
    top, bottom = _ends(inside.mean(axis=1))
    if (right - left) * (bottom - top) < _LEAST_AREA * inside.size:
        return 0, 0, *picture.size
    return left, top, right, bottom


def _ends(share: npt.NDArray[np.float64]) -> tuple[int, int]:
    """First and one past the last line that is no border; both 0 when all are."""
    found = np.flatnonzero(share > _BORDER_SHARE)
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)

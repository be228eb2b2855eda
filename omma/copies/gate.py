"""The wide gate: how near two pictures' signatures lie at best, for those that the light has not decided on."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.copies.rule import bits_apart
from omma.copies.signatures import Signatures, readable

LOOKED_AT_BITS: Final = 88
"""Of 256: nearer than that are the first look-alikes of a thousand other photographs; copies that were cropped by a
tenth, turned by two degrees or marked are within 58, those turned by five within 88."""
FAR: Final = 256
"""Of a picture without a signature: no bit is known to be the same."""


def nearest_bits(one: bytes, others: Sequence[bytes]) -> npt.NDArray[np.int16]:
    """int16[n], 0 … 256: the bits that differ between the views that are nearest, upright or mirrored. Pure."""
    nearest = np.full(len(others), FAR, np.int16)
    if not readable(one):
        return nearest
    mine, theirs = Signatures.of([one]), Signatures.of(others)
    for hash in mine.hashes:
        found = bits_apart(np.broadcast_to(hash, theirs.hashes.shape), theirs.hashes)[:, :2].min(axis=1)
        np.minimum.at(nearest, theirs.pictures, found)
    return nearest

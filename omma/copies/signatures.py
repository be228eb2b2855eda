"""Signatures of many pictures as columns, made to be compared turned, mirrored and cropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.images.signature import (
    COLOUR_SIDE,
    CROPS,
    FIELD_BYTES,
    HASH_BYTES,
    HASH_SIDE,
    HEAD_BYTES,
    INNER_BYTES,
    LIGHT_SIDE,
    VERSION,
    WHOLE_BYTES,
)
from omma.vectors import Float32, UInt64

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]

_PARITIES: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Rows and columns of a pHash's coefficients, even or odd. A picture mirrored left to right has the odd columns'
coefficients with the other sign, so with the other bit; upside down the odd rows'."""

_Steps = tuple[tuple[np.uint64, np.uint64], ...]
"""Bits so far apart change places, of those that the mask has: the lower one of each two."""


def _steps(*steps: tuple[int, int]) -> _Steps:
    return tuple((np.uint64(shift), np.uint64(mask)) for shift, mask in steps)


_PARTING: Final = _steps((1, 0x2222222222222222), (2, 0x0C0C0C0C0C0C0C0C), (4, 0x00F000F000F000F0))
"""Of each 16 bits the even columns come first, then the odd ones."""
_MIRRORING: Final = _steps((9, 0x0055005500550055), (18, 0x0000333300003333), (36, 0x000000000F0F0F0F))
"""Eight rows of eight bits are mirrored at their diagonal."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """Views of pictures: the whole; what its plain border surrounds, if it has one; its middle, once for each of CROPS.

    pictures: intp[v], the row of the picture that each view is of. full: bool[v], whole or inner, not a middle. wholes:
    how many are whole; they come first, and the inner ones next.
    hashes, turned: uint64[v, 4], a pHash and that of the view mirrored at its diagonal, 64 coefficients a parity.
    variation, plain: float32[v] of the picture: standard deviation of its greys, share of one grey. fields: uint8 of
    the full views, which come first.
    """

    pictures: Rows
    full: npt.NDArray[np.bool_]
    wholes: int
    hashes: UInt64
    turned: UInt64
    variation: Float32
    plain: Float32
    fields: Bytes

    @classmethod
    def of(cls, stored: Sequence[bytes]) -> "Signatures":
        """stored: one a picture, as records carry them. One that is empty or of another version has no views. Pure."""
        rows = np.array([row for row, one in enumerate(stored) if readable(one)], np.intp)
        bordered = np.array([row for row in rows.tolist() if len(stored[row]) > WHOLE_BYTES], np.intp)
        wholes = _table([stored[row][:WHOLE_BYTES] for row in rows.tolist()], WHOLE_BYTES)
        inners = _table([stored[row][WHOLE_BYTES:] for row in bordered.tolist()], INNER_BYTES)
        heads, views = wholes[:, :HEAD_BYTES], wholes[:, HEAD_BYTES : HEAD_BYTES + INNER_BYTES]
        middles = wholes[:, HEAD_BYTES + INNER_BYTES :].reshape(-1, HASH_BYTES)
        of_inner = np.searchsorted(rows, bordered)
        of_middle = np.repeat(np.arange(len(rows)), len(CROPS))
        count = len(rows)
        hashes = _words(np.concatenate([views[:, :HASH_BYTES], inners[:, :HASH_BYTES], middles]))
        of = np.concatenate([np.arange(count), of_inner, of_middle])
        return cls(
            pictures=rows[of],
            full=np.arange(len(of)) < count + len(bordered),
            wholes=count,
            hashes=hashes,
            turned=_turned(hashes),
            variation=heads[of, 1].astype(np.float32) / 2,
            plain=heads[of, 2].astype(np.float32) / 255,
            fields=np.concatenate([views, inners])[:, HASH_BYTES:],
        )

    def light(self, views: Rows) -> Float32:
        """float32[n, 16, 16], 0 … 255, of these views; a middle's is worked out from the whole's."""
        return self._seen(views, slice(LIGHT_SIDE**2), LIGHT_SIDE)[..., 0]

    def colours(self, views: Rows) -> Float32:
        """float32[n, 4, 4, 2], Cb and Cr, -128 … 127, as `light`."""
        return self._seen(views, slice(LIGHT_SIDE**2, FIELD_BYTES), COLOUR_SIDE) - np.float32(128)

    def around(self, views: Rows) -> Float32:
        """float32[n, 2], Cb and Cr in the first corner of the whole pictures that these views are of."""
        wholes = np.searchsorted(self.pictures[: self.wholes], self.pictures[views])
        return self.colours(wholes)[:, 0, 0]

    def _seen(self, views: Rows, part: slice, side: int) -> Float32:
        full = len(self.fields)
        middle = views >= full
        source = np.where(middle, (views - full) // len(CROPS), views)
        fields = (
            self.fields[source, part]
            .astype(np.float32)
            .reshape(len(views), side, side, (part.stop - (part.start or 0)) // side**2)
        )
        for number, share in enumerate(CROPS):
            at = np.flatnonzero(middle & ((views - full) % len(CROPS) == number))
            zoom = _zoom(side, share)
            fields[at] = np.einsum("ri,nijk,cj->nrck", zoom, fields[at], zoom, optimize=True)
        return fields


def readable(signature: bytes) -> bool:
    """Whether it is one of the version that is compared."""
    return len(signature) in {WHOLE_BYTES, WHOLE_BYTES + INNER_BYTES} and signature[0] == VERSION


def _table(rows: Sequence[bytes], width: int) -> Bytes:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width)


def _words(hashes: Bytes) -> UInt64:
    """uint64[v, 4] of pHashes uint8[v, 32], two bytes a row of coefficients: a word a parity, as in _PARITIES, of eight
    rows of eight bits.
    """
    parted = _swapped(np.ascontiguousarray(hashes).view(np.uint64).byteswap(), _PARTING).byteswap()
    words = parted.view(np.uint8).reshape(-1, HASH_SIDE // 2, 2, 2).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(words).reshape(len(hashes), HASH_BYTES).view(np.uint64)


def _turned(words: UInt64) -> UInt64:
    """The same of the views mirrored at their diagonals: rows of a word are its columns, and odd rows odd columns."""
    return _swapped(words[:, [_PARITIES.index((column, row)) for row, column in _PARITIES]], _MIRRORING)


def _swapped(words: UInt64, steps: _Steps) -> UInt64:
    for shift, mask in steps:
        differ = (words ^ words >> shift) & mask
        words = words ^ differ ^ differ << shift
    return words


def _zoom(side: int, share: float) -> Float32:
    """[side, side]: how much of each field of the whole lies in each field of the middle."""
    edges = (1 - share) / 2 * side + share * np.arange(side + 1)
    fields = np.arange(side)
    low = np.maximum(edges[:-1, None], fields)
    high = np.minimum(edges[1:, None], fields + 1)
    weights: Float32 = (np.clip(high - low, 0, None) / share).astype(np.float32)
    return weights

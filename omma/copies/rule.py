"""The first step: which pictures' signatures say that they are copies. Bit operations, no vector, no picture."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.copies.groups import Pair, Rows
from omma.copies.signatures import Signatures
from omma.images.signature import COLOUR_SIDE, LIGHT_SIDE
from omma.vectors import Float32

SIGNATURE_RULE: Final = "signature"

NEAR_BITS: Final = 24
WIDE_BITS: Final = 48
"""Of 256 that may differ. Among 19 million pairs of 6,148 photographs (things, goods, garments) 74 lie within 48; of
copies that were cropped, turned by 2 degrees or marked, nine of ten do. The light then decides."""
_NEAR_UNLIKE: Final = 0.25
_WIDE_UNLIKE: Final = 0.14
"""Share of the light's deviation that the other's does not explain, without the sixteen fields that differ most, as
under a logo. Motorcycles of one make, 30 to 48 bits apart, have 0.16 and more."""
_MARKED_FIELDS: Final = 16
_PLAIN_SHARE: Final = 0.5
"""What is half of one grey is a document, a drawing or a product on white: turned or mirrored it is another (an arrow),
and so it is where its light differs at one place (a line of an invoice)."""
_DOCUMENT_SHARE: Final = 0.8
_DOCUMENT_LEVELS: Final = 1.5
_DRAWING_LEVELS: Final = 8.0
"""By which a field's light may differ, at shares of 0.8 and more, and of 0.5. Another invoice of the form makes 2.1, as
may JPEG: of documents only what is nearly the same is a copy."""
_FLAT_LEVELS: Final = 4.0
"""Greys that vary less have no pHash to speak of: the light itself has to be the same."""
_FLAT_LIGHT: Final = 3.0
_FLAT_COLOUR: Final = 5.0
_GAINS: Final = (0.55, 1.8)
_PLAIN_GAINS: Final = (0.8, 1.25)
"""Of light's deviation: with a brighter thing on the same white it is another thing."""
_OTHER_COLOUR: Final = 20.0
_WIDE_OTHER_COLOUR: Final = 12.0
"""By which a field's colour may lie off the other's, made as strong; levels of Cb and Cr."""
_COLOUR_GAINS: Final = (0.4, 2.5)
_WIDE_COLOUR_GAINS: Final = (0.75, 1.35)
"""Of what was cropped, turned or marked besides: there red is no stronger brown, nor teal a grey."""
_GREY_LEVELS: Final = 6.0
"""No field has more colour than that: a grey copy has the light of its original, to 7 % and 8 levels."""
_GREY_GAIN: Final = 0.07
_GREY_OFFSET: Final = 8.0
_WORD_BITS_NEAR: Final = 20
"""Of the 64 of one word: 48 of 256 leave more to it in one pair of a thousand, and of others' words 5 in a thousand."""
_ROWS_AT_ONCE: Final = 256
_PAIRS_AT_ONCE: Final = 8_192
"""Bounds the fields that are compared at once: some 8 MiB a column."""
_WORD_BITS: Final = 64

_MIRRORED: Final = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0]], np.int16)
"""Which of a hash's four words are turned over: as it is, mirrored left to right, upside down, both. The eight
orientations are these four, of the picture and of its mirror image at the diagonal."""

Positions = npt.NDArray[np.intp]


def copies(signatures: Signatures, check: Callable[[], object] = lambda: None) -> list[Pair]:
    """Pairs of pictures, each once, by rows.

    check: called now and then; what it raises ends the work. 75 photographs take about 1 ms. Pure.
    """
    best: dict[tuple[int, int], int] = {}
    for one, other, orientation, bits in _near(signatures, check):
        good = _alike(signatures, one, other, orientation, bits) & _alike_around(signatures, one, other)
        ends = np.sort(np.stack([signatures.pictures[one[good]], signatures.pictures[other[good]]]), axis=0).tolist()
        for first, second, distance in zip(*ends, bits[good].tolist(), strict=True):
            best[first, second] = min(distance, best.get((first, second), distance))
    return [Pair(first, second, distance, SIGNATURE_RULE) for (first, second), distance in best.items()]


def _near(
    signatures: Signatures, check: Callable[[], object]
) -> Iterator[tuple[Rows, Rows, Positions, npt.NDArray[np.int16]]]:
    """Views whose hashes are near in an orientation that counts, which orientation (0 … 7), and in how many bits; at
    most _PAIRS_AT_ONCE.
    """
    hashes, turned, pictures = signatures.hashes, signatures.turned, signatures.pictures
    full = np.flatnonzero(signatures.full)
    drawn = _drawn(signatures)
    for start in range(0, len(full), _ROWS_AT_ONCE):
        check()
        rows = full[start : start + _ROWS_AT_ONCE]
        # The word of even rows and columns is the same in all four mirror images: it rules nearly every pair out.
        word = hashes[rows, None, 0]
        may = np.bitwise_count(word ^ hashes[None, :, 0]) <= _WORD_BITS_NEAR
        may |= np.bitwise_count(word ^ turned[None, :, 0]) <= _WORD_BITS_NEAR
        # np.nonzero of a table takes ten times as long.
        one, other = np.divmod(np.flatnonzero(may), len(hashes))
        one = rows[one]
        # A middle comes after all full views, so that each pair is here once.
        counts = (one < other) & (pictures[one] != pictures[other])
        every_one, every_other = one[counts], other[counts]
        for begin in range(0, len(every_one), _PAIRS_AT_ONCE):
            check()
            one, other = (ends[begin : begin + _PAIRS_AT_ONCE] for ends in (every_one, every_other))
            distances = np.concatenate(
                [bits_apart(hashes[one], hashes[other]), bits_apart(hashes[one], turned[other])], 1
            )
            plain = drawn[one] | drawn[other]
            distances[plain, 1:] = 4 * _WORD_BITS
            orientation = distances.argmin(axis=1)
            bits = np.take_along_axis(distances, orientation[:, None], 1)[:, 0]
            near = bits <= np.where(plain, NEAR_BITS, WIDE_BITS)
            if near.any():
                yield one[near], other[near], orientation[near], bits[near]


def _drawn(signatures: Signatures) -> npt.NDArray[np.bool_]:
    drawn: npt.NDArray[np.bool_] = (signatures.plain >= _PLAIN_SHARE) | (signatures.variation < _FLAT_LEVELS)
    return drawn


def bits_apart(some: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> npt.NDArray[np.int16]:
    """int16[n, 4]: bits that differ, the others as they are and mirrored three ways."""
    differ = np.bitwise_count(some ^ others).astype(np.int16)
    distances: npt.NDArray[np.int16] = differ @ (1 - 2 * _MIRRORED.T) + _WORD_BITS * _MIRRORED.sum(axis=1)
    return distances


def _oriented(fields: Float32, orientation: Positions) -> Float32:
    """float32[n, side * side, …] of fields [n, side, side, …], each turned as its orientation says."""
    turned = np.array(fields)
    for number in range(1, 8):
        at = np.flatnonzero(orientation == number)
        if len(at):
            part = turned[at].swapaxes(1, 2) if number >= 4 else turned[at]
            part = part[:, :, ::-1] if number % 4 in {1, 3} else part
            turned[at] = part[:, ::-1] if number % 4 in {2, 3} else part
    return turned.reshape(len(fields), fields.shape[1] ** 2, *fields.shape[3:])


def _alike(
    signatures: Signatures, one: Rows, other: Rows, orientation: Positions, bits: npt.NDArray[np.int16]
) -> npt.NDArray[np.bool_]:
    """Whether light and colour agree that these views are of one picture, whichever comes first. bool[n]."""
    ours = signatures.light(one).reshape(len(one), LIGHT_SIDE**2)
    theirs = _oriented(signatures.light(other), orientation)
    gain, rest = _fit(ours, theirs)
    back, rest_back = _fit(theirs, ours)
    offset = np.abs(theirs.mean(axis=1) - ours.mean(axis=1))
    worst = np.maximum(np.abs(rest).max(axis=1), np.abs(rest_back).max(axis=1))
    plain = np.maximum(signatures.plain[one], signatures.plain[other])
    flat = np.minimum(signatures.variation[one], signatures.variation[other]) < _FLAT_LEVELS
    unlike = np.maximum(_unlike(ours, theirs, rest), _unlike(ours, theirs, rest_back))
    light = unlike <= np.where(bits <= NEAR_BITS, _NEAR_UNLIKE, _WIDE_UNLIKE)
    light = np.where(plain >= _PLAIN_SHARE, worst <= _allowed(plain), light)
    least, most = (np.where(plain >= _PLAIN_SHARE, *bounds) for bounds in zip(_PLAIN_GAINS, _GAINS, strict=True))
    light &= (least <= np.minimum(gain, back)) & (np.maximum(gain, back) <= most)
    same_light = (np.abs(gain - 1) <= _GREY_GAIN) & (np.abs(back - 1) <= _GREY_GAIN) & (offset <= _GREY_OFFSET)
    near = bits <= NEAR_BITS
    colour, grey, apart = _colours(signatures, one, other, orientation, near)
    light &= colour | (grey & near & same_light)
    flat_alike = (np.abs(theirs - ours).max(axis=1) <= _FLAT_LIGHT) & (apart <= _FLAT_COLOUR)
    alike: npt.NDArray[np.bool_] = np.where(flat, flat_alike, light)
    return alike


def _alike_around(signatures: Signatures, one: Rows, other: Rows) -> npt.NDArray[np.bool_]:
    """Whether borders are of one colour, where both views are what one surrounds: flags may share two stripes of three.
    bool[n].
    """
    alike = np.ones(len(one), bool)
    inner = np.flatnonzero(
        (np.minimum(one, other) >= signatures.wholes) & (signatures.full[one] & signatures.full[other])
    )
    if len(inner):
        apart = signatures.around(one[inner]) - signatures.around(other[inner])
        alike[inner] = np.linalg.norm(apart, axis=1) <= _OTHER_COLOUR
    return alike


def _fit(ours: Float32, theirs: Float32) -> tuple[Float32, Float32]:
    """By which factor our deviations come nearest to theirs, float32[n], and what then is left, [n, fields]."""
    ours, theirs = _centred(ours), _centred(theirs)
    gain = (ours * theirs).sum(axis=1) / np.maximum((ours**2).sum(axis=1), 1)
    return gain, theirs - gain[:, None] * ours


def _unlike(ours: Float32, theirs: Float32, rest: Float32) -> Float32:
    """float32[n], 0 (one explains the other) … 1, without the fields of which most is left."""
    kept = np.argpartition(np.abs(rest), -_MARKED_FIELDS, axis=1)[:, :-_MARKED_FIELDS]
    ours, theirs = (_centred(np.take_along_axis(one, kept, axis=1)) for one in (ours, theirs))
    explained = (ours * theirs).sum(axis=1) ** 2
    possible = (ours**2).sum(axis=1) * (theirs**2).sum(axis=1)
    unlike: Float32 = np.sqrt(np.clip(1 - explained / np.maximum(possible, 1), 0, 1))
    return unlike


def _allowed(plain: Float32) -> Float32:
    """Levels by which the light of fields may differ in pictures of which so much is of one grey."""
    towards = np.clip((_DOCUMENT_SHARE - plain) / (_DOCUMENT_SHARE - _PLAIN_SHARE), 0, 1)
    levels: Float32 = _DOCUMENT_LEVELS + (_DRAWING_LEVELS - _DOCUMENT_LEVELS) * towards
    return levels


def _colours(
    signatures: Signatures, one: Rows, other: Rows, orientation: Positions, near: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Float32]:
    """Whether both have the same colours, more or less of them; whether one has none; how far apart they lie."""
    ours = signatures.colours(one).reshape(len(one), COLOUR_SIDE**2, 2)
    theirs = _oriented(signatures.colours(other), orientation)
    strength = np.minimum(_farthest(ours), _farthest(theirs))
    apart = np.maximum(_recoloured(ours, theirs, near), _recoloured(theirs, ours, near))
    same = apart <= np.where(near, _OTHER_COLOUR, _WIDE_OTHER_COLOUR)
    grey = strength <= _GREY_LEVELS
    both_grey = np.maximum(_farthest(ours), _farthest(theirs)) <= _GREY_LEVELS
    return (same & ~grey) | both_grey, grey, _farthest(theirs - ours)


def _recoloured(ours: Float32, theirs: Float32, near: npt.NDArray[np.bool_]) -> Float32:
    """float32[n]: how far theirs lie from ours, made as strong as may be."""
    least, most = (np.where(near, *bounds) for bounds in zip(_COLOUR_GAINS, _WIDE_COLOUR_GAINS, strict=True))
    gain = (ours * theirs).sum(axis=(1, 2)) / np.maximum((ours**2).sum(axis=(1, 2)), 1)
    return _farthest(theirs - np.clip(gain, least, most)[:, None, None] * ours)


def _farthest(colours: Float32) -> Float32:
    """float32[n]: of [n, fields, 2], how far the farthest field is from no colour."""
    farthest: Float32 = np.sqrt((colours**2).sum(axis=2)).max(axis=1, initial=0)
    return farthest


def _centred(fields: Float32) -> Float32:
    centred: Float32 = fields - fields.mean(axis=1, keepdims=True)
    return centred

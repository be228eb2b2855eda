"""The second step: two pictures themselves, laid over each other, tell whether one is a copy of the other, and how."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from omma.copies.features import Features, features
from omma.copies.geometry import Placement, as_it_is, placed
from omma.images.signature import plainness, without_border
from omma.vectors import Float32

LOOK_VERSION: Final = 1
SIDE: Final = 192

_BLOCK: Final = 12
_LEAST_OVERLAP: Final = 0.62
"""Of the larger one: what is less of it is a part of it, not a copy."""
_LEAST_BLOCKS: Final = 12
"""With texture: a wall with a switch on it says nothing."""
_TEXTURE: Final = 5.0
"""Standard deviation of a block's greys."""
_BLOCK_ALIKE: Final = 0.6
"""Correlation of a block's greys, smoothed."""
_BLOCK_LEVELS: Final = 18.0
_LEAST_ALIKE: Final = 0.86
"""Share of blocks that agree: a logo or a watermark takes the others."""
_LEAST_TEXTURED_ALIKE: Final = 0.78
_WHOLE_ALIKE: Final = 0.93
"""Correlation of all blocks that agree, together."""
_GAINS: Final = (0.5, 2.0)
_DRAWN: Final = 0.5
"""Of one grey: a document, a drawing or a product on white, of which every part must agree."""
_DRAWN_WHOLE: Final = 0.97
_DRAWN_LEVELS: Final = 6.0
_DOCUMENT: Final = 0.8
"""Of one grey: 192 pixels do not tell the lines of an invoice from those of another one."""
_FLAT: Final = 4.0
_COLOUR_NOISE: Final = 8.0
"""Levels of Cb and Cr that JPEG at quality 10 adds."""
_COLOUR_LEFT_OUT: Final = 0.1
_GREY: Final = 6.0
_GREY_GAIN: Final = 0.12
_GREY_OFFSET: Final = 10.0
_TURNED_DEGREES: Final = 0.7
_CROPPED: Final = 0.97
_MARKED: Final = 0.97


class Colours(NamedTuple):
    """How much stronger those of one may be, how many levels apart, and the share of their strength that those of the
    other do not explain.
    """

    gains: tuple[float, float]
    apart: float
    unlike: float


_IN_PLACE: Final = Colours((0.4, 2.5), 22.0, 0.5)
_MOVED: Final = Colours((0.8, 1.25), 12.0, 0.3)
"""Of what was moved or marked besides: there red is no stronger pink, nor green a grey."""


class Why(StrEnum):
    """How a copy differs; or why two pictures are none: OTHER (they do not lie over each other), PART (of one, much is
    not in the other), PLAIN (too little in them to tell), LIGHT, COLOUR (that of the same place differs).
    """

    SAME = "same"
    MIRRORED = "mirrored"
    TURNED = "turned"
    BORDER = "border"
    CROP = "crop"
    MARKED = "marked"
    GREY = "grey"
    OTHER = "other"
    PART = "part"
    PLAIN = "plain"
    LIGHT = "light"
    COLOUR = "colour"


_RECOLOURED: Final = frozenset({Why.SAME, Why.BORDER})
"""Nothing was moved, nor anything drawn over it: then its colours may be weaker, stronger, or gone."""
_NEARER: Final = (Why.OTHER, Why.PLAIN, Why.PART, Why.LIGHT, Why.COLOUR)
"""Why not, of several ways to lay them over each other: the last of these counts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    same: bool
    why: Why


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture made ready to be looked at beside many. picture: without its plain border, at most SIDE pixels a side.

    border: Cb and Cr of that, None where it has none. drawn: half of it is of one grey. plain: it has no texture, or is
    a document.
    """

    picture: Image.Image
    features: Features
    border: tuple[float, float] | None
    drawn: bool
    plain: bool

    @classmethod
    def of(cls, picture: Image.Image) -> "Seen":
        """picture: upright RGB, as `Picture.reduced(512)` leaves it. Blocks for some 20 ms."""
        box = without_border(picture)
        inner = picture.crop(box)
        inner.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
        if max(inner.size) < SIDE:
            inner = ImageOps.contain(inner, (SIDE, SIDE), Image.Resampling.BILINEAR)
        grey = inner.convert("L")
        variation, plain = plainness(grey)
        return cls(
            inner,
            features(grey),
            None if box == (0, 0, *picture.size) else _corner(picture),
            drawn=plain >= _DRAWN,
            plain=variation < _FLAT or plain >= _DOCUMENT,
        )


def look(one: Seen, other: Seen) -> Verdict:
    """Whether they are copies of one picture; `same` does not depend on which comes first. Pure; 2 to 20 ms."""
    if one.plain or other.plain:
        return Verdict(False, Why.PLAIN)
    if (one.drawn or other.drawn) and not _bordered_alike(one, other):
        return Verdict(False, Why.COLOUR)
    verdict = Verdict(False, Why.OTHER)
    # Laid the other way, blocks fall on other places, and what is scaled up is scaled down.
    for first, second in ((one, other), (other, one)):
        found = _looked(first, second)
        if found.same:
            return found
        verdict = max(verdict, found, key=_nearness)
    return verdict


def _bordered_alike(one: Seen, other: Seen) -> bool:
    """Whether borders, where both have one, are of one colour: a flag's first stripe looks like one."""
    if one.border is None or other.border is None:
        return True
    return math.dist(one.border, other.border) <= _IN_PLACE.apart


def _corner(picture: Image.Image) -> tuple[float, float]:
    _, blue, red = np.asarray(picture.crop((0, 0, 1, 1)).convert("YCbCr"), np.float32)[0, 0].tolist()
    return blue, red


def _nearness(verdict: Verdict) -> int:
    return _NEARER.index(verdict.why)


def _looked(one: Seen, other: Seen) -> Verdict:
    verdict = Verdict(False, Why.OTHER)
    for features_of_other, picture, mirrored in _orientations(one, other):
        # What is blurred or plain has few corners, but lies where it lay.
        for where in (placed(one.features, features_of_other), as_it_is(one.picture.size, picture.size)):
            if where is None:
                continue
            found = _laid_over(one, other, picture, where, mirrored=mirrored)
            if found.same:
                return found
            verdict = max(verdict, found, key=_nearness)
    return verdict


def _orientations(one: Seen, other: Seen) -> Iterator[tuple[Features, Image.Image, bool]]:
    yield other.features, other.picture, False
    # Mirrored, an arrow or a word is another one.
    if not one.drawn and not other.drawn:
        yield other.features.mirrored(other.picture.width), ImageOps.mirror(other.picture), True


def _laid_over(one: Seen, other: Seen, picture: Image.Image, where: Placement, *, mirrored: bool) -> Verdict:
    ours, theirs, inside = _frames(one.picture, picture, where)
    share = float(inside.mean())
    area = share * one.picture.width * one.picture.height * float(np.linalg.det(where.matrix[:, :2]))
    overlap = min(share, area / (picture.width * picture.height))
    if overlap < _LEAST_OVERLAP:
        return Verdict(False, Why.PART)
    drawn = one.drawn or other.drawn
    blocks = _blocks(ours[..., 0], theirs[..., 0], inside, _DRAWN_LEVELS if drawn else _BLOCK_LEVELS)
    if blocks is None:
        return Verdict(False, Why.PLAIN)
    agree, textured, gain, offset, whole = blocks
    alike = float(agree.mean())
    textured_alike = float(agree[textured].mean())
    if drawn:
        fits = bool(agree.all()) and whole >= _DRAWN_WHOLE
    else:
        fits = alike >= _LEAST_ALIKE and textured_alike >= _LEAST_TEXTURED_ALIKE and whole >= _WHOLE_ALIKE
    if not fits or not _GAINS[0] <= gain <= _GAINS[1]:
        return Verdict(False, Why.LIGHT)
    why = _edited(one, other, where, overlap, alike, mirrored=mirrored)
    coloured, grey = _coloured(ours[..., 1:], theirs[..., 1:], inside, _IN_PLACE if why in _RECOLOURED else _MOVED)
    if coloured:
        return Verdict(True, why)
    if grey and why in _RECOLOURED and abs(gain - 1) <= _GREY_GAIN and abs(offset) <= _GREY_OFFSET:
        return Verdict(True, why if why is Why.BORDER else Why.GREY)
    return Verdict(False, Why.COLOUR)


def _edited(one: Seen, other: Seen, where: Placement, overlap: float, alike: float, *, mirrored: bool) -> Why:
    """What was done to one to make the other, by where they lie. alike: share of blocks that agree."""
    if mirrored:
        return Why.MIRRORED
    if abs(where.degrees) > _TURNED_DEGREES:
        return Why.TURNED
    if overlap < _CROPPED:
        return Why.CROP
    if (one.border is None) != (other.border is None):
        return Why.BORDER
    return Why.MARKED if alike < _MARKED else Why.SAME


def _frames(one: Image.Image, other: Image.Image, where: Placement) -> tuple[Float32, Float32, npt.NDArray[np.bool_]]:
    """Light and colours of one, and of the other laid over it, float32[height, width, 3]; and where it lies, bool."""
    linear = where.matrix[:, :2]
    shift = where.matrix[:, 2] + 0.5 - linear @ (0.5, 0.5)  # Pillow's pixels have their middle at a half
    terms = (*linear[0], shift[0], *linear[1], shift[1])
    moved = other.transform(one.size, Image.Transform.AFFINE, terms, Image.Resampling.BILINEAR)
    covered = Image.new("L", other.size, 255).transform(one.size, Image.Transform.AFFINE, terms)
    inside = np.asarray(covered) > 0
    ours, theirs = (np.asarray(picture.convert("YCbCr"), np.float32) for picture in (one, moved))
    return ours, theirs, inside


def _tiles(field: Float32) -> Float32:
    """float32[blocks, 144] of float32[height, width]; what is left at the right and below is left out."""
    rows, columns = field.shape[0] // _BLOCK, field.shape[1] // _BLOCK
    cut = field[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    tiles: Float32 = cut.swapaxes(1, 2).reshape(rows * columns, _BLOCK * _BLOCK)
    return tiles


def _blocks(
    ours: Float32, theirs: Float32, inside: npt.NDArray[np.bool_], levels: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], float, float, float] | None:
    """Of blocks inside: which agree, their light to so many levels; which have texture; the light's gain, and how far
    it lies off; how all that agree correlate. None where there are too few.
    """
    full = _tiles(inside.astype(np.float32)).min(axis=1) > 0
    a, b = _tiles(_softened(ours))[full], _tiles(_softened(theirs))[full]
    a_mean, b_mean = a.mean(axis=1), b.mean(axis=1)
    a_rest, b_rest = a - a_mean[:, None], b - b_mean[:, None]
    a_std, b_std = a_rest.std(axis=1), b_rest.std(axis=1)
    textured = np.maximum(a_std, b_std) > _TEXTURE
    if textured.sum() < _LEAST_BLOCKS:
        return None
    alike = (a_rest * b_rest).mean(axis=1) / np.maximum(a_std * b_std, 1e-3)
    gain, offset = _line(a, b, np.ones(len(a), bool))
    for _ in range(2):
        near = np.abs(gain * a_mean + offset - b_mean) <= levels
        agree = near & (~textured | (alike >= _BLOCK_ALIKE))
        if agree.sum() < _LEAST_BLOCKS:
            break
        gain, offset = _line(a, b, agree)
    if not agree.any():
        return agree, textured, gain, offset, 0.0
    kept = np.stack([a[agree].ravel(), b[agree].ravel()])
    whole = float(np.corrcoef(kept)[0, 1]) if kept.std(axis=1).min() > 0 else 0.0
    return agree, textured, gain, float(b[agree].mean() - a[agree].mean()), whole


def _line(a: Float32, b: Float32, which: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Gain and offset that bring a nearest to b."""
    a, b = a[which].ravel(), b[which].ravel()
    a_rest = a - a.mean()
    gain = float((a_rest * (b - b.mean())).sum() / max(float((a_rest**2).sum()), 1.0))
    return gain, float(b.mean() - gain * a.mean())


def _coloured(ours: Float32, theirs: Float32, inside: npt.NDArray[np.bool_], allowed: Colours) -> tuple[bool, bool]:
    """Whether both have the same colours, so much more or less strong; whether one of them has none."""
    full = _tiles(inside.astype(np.float32)).min(axis=1) > 0
    a, b = (
        np.stack([_tiles(part[..., channel])[full].mean(axis=1) for channel in (0, 1)], axis=1) - 128
        for part in (ours, theirs)
    )
    strengths = [_most(np.linalg.norm(part, axis=1)) for part in (a, b)]
    if max(strengths) <= _GREY:
        return True, False
    gain = float(np.clip((a * b).sum() / max(float((a**2).sum()), 1.0), *allowed.gains))
    off = _most(np.linalg.norm(b - gain * a, axis=1))
    unlike = float(np.linalg.norm(b - gain * a) / max(float(np.linalg.norm(b)), 1.0))
    grey = min(strengths) <= _GREY
    same = off <= allowed.apart and (off <= _COLOUR_NOISE or unlike <= allowed.unlike)
    return same and not grey, grey


def _most(values: Float32) -> float:
    """Without the tenth that is largest, as of a logo."""
    return float(np.quantile(values, 1 - _COLOUR_LEFT_OUT))


def _softened(light: Float32) -> Float32:
    padded = np.pad(light, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    softened: Float32 = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16)
    return softened

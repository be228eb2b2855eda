"""How one picture lies in another: the turn, scale and shift that most of their matching corners agree on."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.copies.features import Features
from omma.vectors import Float32

LEAST_AGREEING: Final = 10
"""Corners that have to agree: among pairs of other photographs eight may, by chance and by repeated patterns."""

_ALIKE: Final = 0.8
"""Cosine of two patches."""
_TRIES: Final = 800
_NEAR_PIXELS: Final = 3.0
_APART_PIXELS: Final = 20.0
_SCALES: Final = (0.5, 2.0)
_TURN_DEGREES: Final = 15.0
_SHEARED: Final = 1.35
"""One side may be stretched so much more than the other."""

Complex = npt.NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Placement:
    """matrix: float64[2, 3], from pixels (x, y, 1) of the first picture to those of the second. agreeing: corners that
    say so. degrees: by which it is turned.
    """

    matrix: npt.NDArray[np.float64]
    agreeing: int
    degrees: float


def placed(first: Features, second: Features) -> Placement | None:
    """None where too few corners agree on any placement. Always the same for the same two. Pure."""
    ours, theirs = _matches(first, second)
    if len(ours) < LEAST_AGREEING:
        return None
    agree = _agreeing(_complex(ours), _complex(theirs))
    matrix: npt.NDArray[np.float64] | None = None
    for _ in range(3):
        if agree.sum() < LEAST_AGREEING:
            return None
        matrix = _least_squares(ours[agree], theirs[agree])
        agree = np.linalg.norm(_apply(matrix, ours) - theirs, axis=1) < _NEAR_PIXELS
    # A corner is found at several scales, and is one corner.
    agreeing = len(np.unique((ours[agree] / _NEAR_PIXELS).round(), axis=0))
    if matrix is None or agreeing < LEAST_AGREEING:
        return None
    stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
    degrees = float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))
    if stretch[0] > _SHEARED * stretch[1] or np.linalg.det(matrix[:, :2]) <= 0 or abs(degrees) > _TURN_DEGREES:
        return None
    return Placement(matrix, agreeing, degrees)


def as_it_is(first: tuple[int, int], second: tuple[int, int]) -> Placement:
    """All of a picture of the first size on all of one of the second."""
    across, down = second[0] / first[0], second[1] / first[1]
    matrix = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])
    return Placement(matrix, 0, 0.0)


def _matches(first: Features, second: Features) -> tuple[Float32, Float32]:
    """Points of both, [n, 2] each, whose patches are each other's best."""
    if not len(first.points) or not len(second.points):
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    alike = first.patches.reshape(len(first.points), -1) @ second.patches.reshape(len(second.points), -1).T
    best = alike.argmax(axis=1)
    rows = np.arange(len(best))
    mutual = (alike.argmax(axis=0)[best] == rows) & (alike[rows, best] >= _ALIKE)
    return first.points[mutual], second.points[best[mutual]]


def _agreeing(ours: Complex, theirs: Complex) -> npt.NDArray[np.bool_]:
    """Which matches the best of many similarities, each by two of them, explains."""
    random = np.random.default_rng(len(ours))
    one, other = random.integers(0, len(ours), (2, _TRIES))
    apart = ours[other] - ours[one]
    far = np.abs(apart) >= _APART_PIXELS
    one, other, apart = one[far], other[far], apart[far]
    if not len(one):
        return np.zeros(len(ours), bool)
    factor = (theirs[other] - theirs[one]) / apart
    scale, turn = np.abs(factor), np.degrees(np.angle(factor))
    may = (scale >= _SCALES[0]) & (scale <= _SCALES[1]) & (np.abs(turn) <= _TURN_DEGREES)
    if not may.any():
        return np.zeros(len(ours), bool)
    factor, one = factor[may], one[may]
    shift = theirs[one] - factor * ours[one]
    near = np.abs(factor[:, None] * ours + shift[:, None] - theirs) < _NEAR_PIXELS
    best: npt.NDArray[np.bool_] = near[near.sum(axis=1).argmax()]
    return best


def _least_squares(ours: Float32, theirs: Float32) -> npt.NDArray[np.float64]:
    sources = np.column_stack([ours, np.ones(len(ours))]).astype(np.float64)
    return np.asarray(np.linalg.lstsq(sources, theirs.astype(np.float64), rcond=None)[0].T, np.float64)


def _apply(matrix: npt.NDArray[np.float64], points: Float32) -> npt.NDArray[np.float64]:
    moved: npt.NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _complex(points: Float32) -> Complex:
    numbers: Complex = points[:, 0] + np.complex64(1j) * points[:, 1]
    return numbers

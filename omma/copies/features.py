"""What stands out in a picture, so that it is found again where the picture was cropped, turned, scaled or marked."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from omma.vectors import Float32

_LEVELS: Final = (1.0, 0.83, 0.69)
"""Scales at which corners are sought: a crop of a tenth, brought to the size of its whole, is 1.2 times as large."""
_CELLS: Final = 8
_PER_CELL: Final = 5
"""Corners of each of 8 x 8 fields of a level: a logo's many corners do not crowd out the rest."""
_PATCH: Final = 8
_STRIDE: Final = 2
_REACH: Final = _PATCH * _STRIDE // 2
_LEAST_CORNER: Final = 20.0
"""Smaller eigenvalue of the gradients around, levels squared: below it is noise of a plain wall."""


@dataclass(frozen=True, slots=True)
class Features:
    """points: float32[n, 2], x and y in pixels of the picture. patches: float32[n, 8, 8], greys around each, without
    their mean, of length 1.
    """

    points: Float32
    patches: Float32

    def mirrored(self, width: int) -> "Features":
        """Of the picture mirrored left to right, that is so wide."""
        points = self.points.copy()
        points[:, 0] = width - 1 - points[:, 0]
        return Features(points, self.patches[:, :, ::-1])


def features(grey: Image.Image) -> Features:
    """Corners of a picture of mode L, at three scales. Pure; 192 pixels a side take some 10 ms."""
    points, patches = [], []
    for level in _LEVELS:
        size = (max(1, round(grey.width * level)), max(1, round(grey.height * level)))
        if min(size) <= 2 * _REACH + 4:
            break
        seen = grey if size == grey.size else grey.resize(size, Image.Resampling.BILINEAR)
        light = _smoothed(np.asarray(seen, np.float32))
        at = _corners(light)
        points.append((at[:, ::-1] + 0.5) * (grey.width / size[0], grey.height / size[1]) - 0.5)
        patches.append(_patches(light, at))
    if not points:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, _PATCH, _PATCH), np.float32))
    return Features(np.concatenate(points).astype(np.float32), np.concatenate(patches))


def _corners(light: Float32) -> npt.NDArray[np.intp]:
    """intp[n, 2], row and column: the strongest local maxima of each field, whose patches are whole."""
    down: Float32 = np.asarray(np.gradient(light, axis=0), np.float32)
    across: Float32 = np.asarray(np.gradient(light, axis=1), np.float32)
    both, down, across = _smoothed(down * across), _smoothed(down**2), _smoothed(across**2)
    strength = (down + across) / 2 - np.sqrt(((down - across) / 2) ** 2 + both**2)
    highest = strength.copy()
    for axis in (0, 1):
        padded = np.pad(highest, [(2, 2) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
        length = strength.shape[axis]
        for start in range(5):
            part = padded[start : start + length] if axis == 0 else padded[:, start : start + length]
            np.maximum(highest, part, out=highest)
    peak = (strength == highest) & (strength > _LEAST_CORNER)
    inside = np.zeros_like(peak)
    inside[_REACH:-_REACH, _REACH:-_REACH] = True
    rows, columns = np.nonzero(peak & inside)
    cell = rows * _CELLS // light.shape[0] * _CELLS + columns * _CELLS // light.shape[1]
    order = np.lexsort((-strength[rows, columns], cell))
    cell = cell[order]
    rank = np.arange(len(cell)) - np.searchsorted(cell, cell)
    kept = order[rank < _PER_CELL]
    return np.stack([rows[kept], columns[kept]], axis=1)


def _patches(light: Float32, at: npt.NDArray[np.intp]) -> Float32:
    steps = np.arange(-_REACH, _REACH, _STRIDE) + _STRIDE // 2
    patches = light[at[:, 0, None, None] + steps[:, None], at[:, 1, None, None] + steps]
    patches = patches - patches.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((patches**2).sum(axis=(1, 2), keepdims=True))
    normed: Float32 = (patches / np.maximum(length, 1e-6)).astype(np.float32)
    return normed


def _smoothed(field: Float32) -> Float32:
    """With 1 4 6 4 1 in both directions."""
    for axis in (0, 1):
        padded = np.pad(field, [(2, 2) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
        length = field.shape[axis]
        parts = [
            padded[start : start + length] if axis == 0 else padded[:, start : start + length] for start in range(5)
        ]
        field = (parts[0] + 4 * parts[1] + 6 * parts[2] + 4 * parts[3] + parts[4]) / np.float32(16)
    return field

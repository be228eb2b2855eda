"""Which colours a picture's middle has, by name: what words for colours are learned from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Float32 = npt.NDArray[np.float32]

COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")

_SIDE: Final = 48


def colour_shares(paths: Sequence[Path]) -> Float32:
    """float32[n, 11]: the share of each colour in what stands out in a picture's middle; a row sums to 1. Blocks."""
    shares = np.empty((len(paths), len(COLOURS)), np.float32)
    for row, path in enumerate(paths):
        with Image.open(path) as file:
            file.draft("RGB", (_SIDE * 2, _SIDE * 2))
            small = file.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        shares[row] = _shares(small)
    return shares


def _shares(small: Image.Image) -> Float32:
    pixels = np.asarray(small, np.float32)
    edge = np.concatenate([pixels[:3].reshape(-1, 3), pixels[:, :3].reshape(-1, 3), pixels[:, -3:].reshape(-1, 3)])
    apart = np.linalg.norm(pixels - np.median(edge, axis=0), axis=2)
    across = np.abs(np.linspace(-1, 1, _SIDE))
    middle = np.exp(-2.0 * (across[:, None] ** 2 + across[None] ** 2))
    weight = middle * np.clip(apart / 60.0, 0.05, 1.0)
    names = named(np.asarray(small.convert("HSV")))
    found = np.bincount(names.ravel(), weight.ravel(), len(COLOURS))
    made: Float32 = (found / found.sum()).astype(np.float32)
    return made


def named(hsv: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The colour of each pixel as a row of COLOURS. hsv: uint8[..., 3] as Pillow has it. Pure."""
    hue = hsv[..., 0].astype(np.float32) * (360 / 255)
    saturation = hsv[..., 1].astype(np.float32) / 255
    value = hsv[..., 2].astype(np.float32) / 255
    by_hue = np.select(
        [hue < 14, hue < 40, hue < 68, hue < 165, hue < 258, hue < 292, hue < 340],
        [0, 1, 2, 3, 4, 5, 6],
        0,
    )
    warm = (hue < 50) | (hue >= 345)
    made = np.where((by_hue == 0) & (value > 0.7) & (saturation < 0.5), 6, by_hue)
    made = np.where(warm & (value < 0.62) & (saturation > 0.25) & ((hue >= 14) & (hue < 50) | (value < 0.35)), 7, made)
    grey = saturation < 0.16
    made = np.where(grey, np.where(value > 0.8, 9, 10), made)
    return np.where(value < np.where(grey, 0.25, 0.17), 8, made).astype(np.int64)

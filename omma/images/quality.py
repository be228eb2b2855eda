"""Blur and exposure, seen in the greys of a small picture."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from omma.quality import Quality

_SEEN_SIDE: Final = 512
_REACH: Final = 4
"""Pixels to either side of which the second blur takes the mean."""
_FLAT_LEVELS: Final = 2
"""Of 255: steps between neighbours that are noise of the codec, and no edge."""
_SHARP: Final = 0.75
"""What the crispest of photographs lose of their steps to the second blur."""
_ENDS: Final = (0.005, 0.995)
"""Shares of the pixels that count for the darkest and the lightest of a picture: a few pixels do not."""
_FULL_RANGE: Final = 160.0
_DARK, _LIGHT = 40.0, 235.0
"""Mean greys beyond which a picture is too dark, or too light, the more the farther."""


def quality_of(picture: Image.Image) -> Quality:
    """picture: upright RGB, as `Picture.reduced(512)` leaves it; looked at with 512 pixels a side. Blocks.

    Blur: how much of the steps between neighbours goes when the picture is blurred once more; one that was blurred
    before has little to lose (Crété-Roffet et al., The Blur Effect, 2007).
    """
    seen = picture.convert("L")
    seen.thumbnail((_SEEN_SIDE, _SEEN_SIDE), Image.Resampling.BOX)
    grey = np.asarray(seen).astype(np.int16)
    return Quality(min(_lost(grey), _lost(grey.T)), _exposure(np.array(seen.histogram())))


def _lost(grey: npt.NDArray[np.int16]) -> float:
    """0 … 1, of the steps down the columns; what lies near an end is not looked at."""
    width = 2 * _REACH + 1
    if len(grey) < 2 * width:
        return 0.0
    steps = np.abs(np.diff(grey[_REACH:-_REACH], axis=0))
    edges = steps > _FLAT_LEVELS
    total = int(steps[edges].sum(dtype=np.int64))
    if total == 0:
        return 0.0
    # Between the means of two neighbours lies but what comes in at one end and goes out at the other.
    left = np.abs(grey[width:] - grey[:-width])[edges]
    return min(1.0, float(np.maximum(steps[edges] - left / width, 0.0).sum()) / total / _SHARP)


def _exposure(counts: npt.NDArray[np.int64]) -> float:
    """counts: of each of 256 greys."""
    share = np.cumsum(counts) / counts.sum()
    dark, light = np.searchsorted(share, _ENDS)
    mean = float(counts @ np.arange(256)) / float(counts.sum())
    middle = min(1.0, mean / _DARK, (255.0 - mean) / (255.0 - _LIGHT))
    return min(1.0, float(light - dark) / _FULL_RANGE) * middle

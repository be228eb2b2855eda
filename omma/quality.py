"""How good a picture is to look at, whatever it shows: not blurred, well lit, large enough. Pure."""

import math
from dataclasses import dataclass
from typing import Final

_LARGE_ENOUGH_PIXELS: Final = 4_000_000
"""From there on more of them make a picture no better."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What `omma.images.quality_of` sees, 0 … 1 each. sharpness: 0 where nothing has an edge. exposure: 0 for a picture
    of one grey, 1 for one that has dark and light.
    """

    sharpness: float
    exposure: float

    def score(self, width: int, height: int) -> float:
        """0 … 1, the geometric mean of sharpness, exposure and size: what fails in one is not saved by the others."""
        return math.cbrt(self.sharpness * self.exposure * size_quality(width, height))


def size_quality(width: int, height: int) -> float:
    """0 … 1, by the side: a quarter of the pixels is half of it."""
    return min(1.0, math.sqrt(width * height / _LARGE_ENOUGH_PIXELS))

"""Intervals that may be looked at as often as one likes, and levels that are spent over looks without end."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_SERIES: Final = 2.10974
"""Sum over n >= 2 of 1 / (n log² n)."""


def half_width(standard_error: Float64, level: float, tuned_error: float) -> Float64:
    """Half width of a confidence sequence: with probability 1 - level the truth is inside it at every look.

    The normal mixture of Robbins as Howard et al., Time-uniform, nonparametric, nonasymptotic confidence sequences
    (2021), have it, in the asymptotic form of Waudby-Smith et al., Time-uniform central limit theory and asymptotic
    confidence sequences (2024): the estimate times its information 1 / error² behaves like Brownian motion whose clock
    is the information. standard_error: any shape, > 0, robust to what clusters; inf gives inf.

    Where callers come back, their later clicks agree with their earlier ones, so the process is less restless than
    that motion at the same variances, and crosses any boundary less often (Slepian 1962): the sequence stays valid.

    tuned_error: the standard error at which it is narrowest; there it is 1.5 times an interval of one look.
    """
    if not 0 < level < 1 or not tuned_error > 0:
        raise ValueError("level must lie between 0 and 1, tuned_error above 0.")
    best = (
        -2 * math.log(level) + math.log(1 - 2 * math.log(level)) + 1
    )  # information at the narrowest, of the mixture's
    information = np.asarray(best * (tuned_error / standard_error) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = standard_error * np.sqrt((1 + 1 / information) * (np.log1p(information) - 2 * math.log(level)))
    return np.where(information > 0, wide, np.inf)


def level_of_look(level: float, look: npt.ArrayLike) -> Float64:
    """The part of `level` that look 1, 2, … may spend; over all looks, however many, they add up to it."""
    n = np.asarray(look, float) + 1
    return np.asarray(level / (_SERIES * n * np.log(n) ** 2))

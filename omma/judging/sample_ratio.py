"""Whether the arms got the shares of callers that they were to get."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.judging.confidence import Float64

LEVEL: Final = 0.001
_PRIOR_CALLERS: Final = 1_000
"""The alternative is a share that lies as near to the asked one as so many callers would tell: a percent or two."""


def log_evidence(control: npt.ArrayLike, candidate: npt.ArrayLike, share: float) -> Float64:
    """Logarithm of the Bayes factor against `share`, 0 < share < 1, the candidate's, by numbers of distinct callers.

    A martingale while callers are drawn as asked, so that it ever passes 1 / LEVEL with probability LEVEL at most,
    however often it is looked at: Lindon and Malek, Anytime-Valid Inference for Multinomial Count Data (2022).
    """
    stay, move = np.asarray(control, float), np.asarray(candidate, float)
    a, b = _PRIOR_CALLERS * share, _PRIOR_CALLERS * (1 - share)
    marginal = _log_beta(a + move, b + stay) - _log_beta(np.asarray(a), np.asarray(b))
    return np.asarray(marginal - move * np.log(share) - stay * np.log1p(-share))


def is_off(control: int, candidate: int, share: float) -> bool:
    """The callers were not drawn as asked; of a share of 1 there is nothing to check."""
    return 0 < share < 1 and float(log_evidence(control, candidate, share)) > -math.log(LEVEL)


def _log_beta(a: Float64, b: Float64) -> Float64:
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def _log_gamma(values: Float64) -> Float64:
    return np.asarray(np.vectorize(math.lgamma, otypes=[float])(values))

"""How the arms' clicks compare, with intervals that may be looked at every minute."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.judging.confidence import Float64, half_width
from omma.judging.moments import Moments

LEVEL: Final = 0.035
"""How often, at most, an interval of clicks ever leaves out the truth; guardrails.LEVEL is spent beside it."""
LEAST_CALLERS: Final = 50
LEAST_GAINED: Final = 50
"""Of each arm, before anything is said: the intervals are asymptotic, and a handful of clicks is far from normal."""

_TUNED_RATIO_ERROR: Final = 0.03
"""Of log ratio: a difference of a tenth stands out at about this error."""
_TUNED_WIN_ERROR: Final = 0.05
_TUNED_BEYOND_ERROR: Final = 0.1
_RIDGE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """value with low … high; each float64[…], one a look, NaN, -inf and inf where there are too few to say."""

    value: Float64
    low: Float64
    high: Float64

    def at(self, look: int) -> "Estimate":
        return Estimate(*(np.asarray(part[look]) for part in (self.value, self.low, self.high)))


def log_ratio(control: Moments, candidate: Moments, *, cuped: bool = True) -> Estimate:
    """Logarithm of the candidate's CTR over the control's. Pure.

    The variance is the delta method's, clustered by caller: Deng, Knoblich and Lu, Applying the Delta Method in Metric
    Analytics (2018). cuped: what callers did before takes its part of the variance away: Deng et al., Improving the
    Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data (2013).
    """
    arms = (control, candidate)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(candidate.rate) - np.log(control.rate)
        parts = [arm.residual_squares(arm.rate) / arm.gained**2 for arm in arms]
        variance = np.asarray(parts[0] + parts[1])
        if cuped:
            value, variance = _without_before(control, candidate, value, variance)
    enough = np.minimum(control.callers, candidate.callers) >= LEAST_CALLERS
    enough &= np.minimum(control.gained, candidate.gained) >= LEAST_GAINED
    return _interval(value, variance, enough, _TUNED_RATIO_ERROR)


def difference(control: Moments, candidate: Moments, ratio: Estimate) -> Estimate:
    """The candidate's CTR less the control's, as `ratio`, of log_ratio, has it: the same evidence in points."""
    parts = (ratio.value, ratio.low, ratio.high)
    return Estimate(*(np.where(np.isfinite(part), np.expm1(part) * control.rate, part) for part in parts))


def beyond(control: Moments, candidate: Moments, ratio: float) -> Estimate:
    """The candidate's CTR over the control's, less `ratio`; only the sign of the interval's ends is meant. Pure.

    The variance is that of a candidate whose ratio is just this, so that one without a single click is told as well:
    what is asked for is as many searches as would bring LEAST_GAINED clicks at the control's rate.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = candidate.rate / control.rate - ratio
        own = candidate.residual_squares(ratio * control.rate) / candidate.asked**2
        others = ratio**2 * control.residual_squares(control.rate) / control.asked**2
        variance = np.asarray((own + others) / control.rate**2)
        due = candidate.asked * control.rate
    enough = np.minimum(control.callers, candidate.callers) >= LEAST_CALLERS
    enough &= np.minimum(control.gained, due) >= LEAST_GAINED
    return _interval(value, variance, enough, _TUNED_BEYOND_ERROR)


def win_margin(interleaved: Moments) -> Estimate:
    """Of interleaved searches' credited clicks: the candidate's share less the control's, -1 … 1. Pure.

    Clustered by caller; the variance is that of equal arms, so that one arm's winning every click is no certainty.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.asarray(interleaved.gained_squares / interleaved.asked**2)
    enough = (interleaved.callers >= LEAST_CALLERS) & (interleaved.asked >= LEAST_GAINED)
    return _interval(interleaved.rate, variance, enough, _TUNED_WIN_ERROR)


def _without_before(control: Moments, candidate: Moments, value: Float64, variance: Float64) -> tuple[Float64, Float64]:
    """The estimate less theta · (difference of the arms' means before), theta by least squares over both arms.

    With means before taken out, the variance falls by the explained part and no more than that.
    """
    arms = (control, candidate)
    shape = (*value.shape, 2)
    cross, spread = np.zeros(shape), np.zeros((*shape, 2))
    for arm in arms:
        # Of the mean over callers: residuals of the log rate, and what was before less its mean.
        cross += arm.residual_before() / (arm.gained * arm.callers)[..., None]
        mean = arm.before / arm.callers[..., None]
        centred = arm.before_squared - arm.before[..., :, None] * mean[..., None, :]
        spread += centred / (arm.callers**2)[..., None, None]
    known = np.isfinite(cross).all(-1) & np.isfinite(variance)
    cross, spread = np.where(known[..., None], cross, 0.0), np.where(known[..., None, None], spread, 0.0)
    shift = candidate.before / candidate.callers[..., None] - control.before / control.callers[..., None]
    shift = np.where(known[..., None], shift, 0.0)
    # Searches and clicks before may say the same; what is added keeps the division possible, and costs nothing else.
    scale = np.trace(spread, axis1=-2, axis2=-1)[..., None, None]
    theta = np.linalg.solve(spread + np.where(scale > 0, _RIDGE * scale, 1.0) * np.eye(2), cross[..., None])
    explained = 2 * (theta[..., 0] * cross).sum(-1) - (theta.swapaxes(-1, -2) @ spread @ theta)[..., 0, 0]
    return np.asarray(value - (theta[..., 0] * shift).sum(-1)), np.asarray(variance - explained)


def _interval(value: Float64, variance: Float64, enough: npt.NDArray[np.bool_], tuned_error: float) -> Estimate:
    usable = enough & (variance > 0) & np.isfinite(value)
    error = np.sqrt(np.where(usable, variance, 1.0))
    wide = np.where(usable, half_width(error, LEVEL, tuned_error), np.inf)
    centre = np.where(usable, value, 0.0)
    return Estimate(np.where(usable, value, np.nan), centre - wide, centre + wide)

"""What follows from the figures: wait, promote or roll back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from omma.judging import sample_ratio
from omma.judging.estimate import LEAST_CALLERS, LEAST_GAINED, Estimate, beyond, difference, log_ratio, win_margin
from omma.judging.moments import Moments

LEAST_RATIO: Final = 0.8
"""A candidate whose ratio of CTR is surely below it is rolled back at once; interleaved, one of so many clicks."""


class Decision(StrEnum):
    """What to do with the candidate."""

    WAIT = "wait"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Verdict:
    """reasons: in words. figures: as JSON has them. harm: the candidate hurts callers, nobody needs to be asked."""

    decision: Decision
    reasons: tuple[str, ...]
    figures: dict[str, Any] = field(default_factory=dict)
    harm: bool = False


@dataclass(frozen=True, slots=True)
class _Evidence:
    """estimate: 0 where the arms are equal. harm: what clicks say of it, in words; empty: nothing."""

    estimate: Estimate
    words: str
    harm: str


def split_verdict(control: Moments, candidate: Moments, share: float, harm: Sequence[str] = ()) -> Verdict:
    """Of callers that were split. share: of the candidate, 0 … 1. harm: what guardrails found. Pure."""
    ratio = log_ratio(control, candidate)
    points = difference(control, candidate, ratio)
    off = sample_ratio.is_off(int(control.callers), int(candidate.callers), share)
    figures: dict[str, Any] = {
        "callers": {"control": int(control.callers), "candidate": int(candidate.callers)},
        "clicks": {"control": int(control.gained), "candidate": int(candidate.gained)},
        "ctr": {"control": _number(control.rate), "candidate": _number(candidate.rate)},
        "ctr_ratio": {name: _exp(value) for name, value in _named(ratio).items()},
        "ctr_difference": _named(points),
        "sample_ratio_off": off,
    }
    shares = (
        f"{figures['callers']['candidate']} of {int(control.callers + candidate.callers)} callers are in the "
        f"candidate's arm, which does not fit a share of {share:.0%}: the figures cannot be trusted"
    )
    words = "the candidate's CTR is {value} times the control's, surely between {low} and {high}"
    told = words.format_map(_said(figures["ctr_ratio"]))
    hurts = f"the candidate's CTR is surely below {LEAST_RATIO} times the control's"
    hurts = hurts if beyond(control, candidate, LEAST_RATIO).high < 0 else ""
    return _verdict(_Evidence(ratio, told, hurts), figures, harm, shares if off else "")


def interleaved_verdict(clicks: Moments, harm: Sequence[str] = ()) -> Verdict:
    """Of interleaved searches; clicks as estimate.win_margin has them. Pure."""
    margin = win_margin(clicks)
    figures: dict[str, Any] = {
        "callers": {"interleaved": int(clicks.callers)},
        "credited": int(clicks.asked),
        "win_rate": {name: _rate(value) for name, value in _named(margin).items()},
    }
    words = "{value} of the clicks are on what the candidate ranks higher, surely between {low} and {high}"
    told = words.format_map(_said(figures["win_rate"]))
    hurts = told if margin.high < (LEAST_RATIO - 1) / (LEAST_RATIO + 1) else ""
    return _verdict(_Evidence(margin, told, hurts), figures, harm)


def _verdict(evidence: _Evidence, figures: dict[str, Any], harm: Sequence[str], off: str = "") -> Verdict:
    low, high = float(evidence.estimate.low), float(evidence.estimate.high)
    # Also where shares are off: going back is the safe side.
    if hurts := (*harm, *filter(None, [evidence.harm])):
        return Verdict(Decision.ROLL_BACK, hurts, figures, harm=True)
    if off:
        return Verdict(Decision.WAIT, (off,), figures)
    if not math.isfinite(low):
        few = f"fewer than {LEAST_CALLERS} callers in an arm, or {LEAST_GAINED} clicks"
        return Verdict(Decision.WAIT, (few,), figures)
    decision = Decision.PROMOTE if low > 0 else Decision.ROLL_BACK if high < 0 else Decision.WAIT
    return Verdict(decision, (evidence.words,), figures)


def _named(estimate: Estimate) -> dict[str, float | None]:
    return {name: _number(getattr(estimate, name)) for name in ("value", "low", "high")}


def _said(figures: dict[str, float | None]) -> dict[str, str]:
    return {name: "unknown" if value is None else f"{value:.3f}" for name, value in figures.items()}


def _number(value: Any) -> float | None:
    """None where nothing is known: JSON has no NaN and no infinity."""
    return round(float(value), 6) if math.isfinite(value) else None


def _exp(value: float | None) -> float | None:
    return None if value is None else round(math.exp(value), 6)


def _rate(value: float | None) -> float | None:
    """A margin of -1 … 1 as a share of 0 … 1."""
    return None if value is None else round((1 + value) / 2, 6)

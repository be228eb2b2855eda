"""Whether a candidate does harm that no click need tell of: what each minute counted, arm against arm.

Every guardrail is one question: of so many searches so many were bad, in the candidate more than in the control.
A caller counts once a minute and arm, so that one busy caller's trouble is not an arm's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.judging.confidence import Float64, level_of_look

LEVEL: Final = 0.01
"""How often, at most, an equal candidate is ever rolled back by a guardrail, however long the rollout."""
WINDOW_SEARCHES: Final = 50
"""Of the candidate: a window is as many whole minutes as it takes."""
WINDOWS_RUNNING: Final = 2
SLOWER: Final = 1.5
"""A search is slow beyond so many times the control's p95 of the window before."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """margin: of the share of bad searches, above the control's, before it is harm. words: of a bad search."""

    name: str
    margin: float
    words: str


GUARDRAILS: Final = (
    Guardrail("errors", 0.01, "failed"),
    Guardrail("slow", 0.05, f"took more than {SLOWER} times the control's p95"),
    Guardrail("coverage", 0.01, "did not reach every shard"),
    Guardrail("degraded", 0.02, "left something out"),
    Guardrail("zero_hits", 0.02, "found nothing"),
    Guardrail("recall", 0.05, "were below the target of recall@10 when repeated exactly"),
)


@dataclass(frozen=True, slots=True)
class Count:
    """bad of so many; numbers, or float64[…] of one shape, one a window."""

    bad: npt.ArrayLike = 0
    of: npt.ArrayLike = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Counts by guardrail's name; a name that is not there was not measured. searches: of the candidate."""

    searches: int = 0
    control: Mapping[str, Count] = field(default_factory=dict)
    candidate: Mapping[str, Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watch:
    """What has to be remembered between windows. looks: windows judged so far. running: name to broken in a row."""

    looks: int = 0
    running: Mapping[str, int] = field(default_factory=dict)


def log_chance(control: Count, candidate: Count) -> Float64:
    """A bound of the logarithm of the chance that equal arms have the candidate's share of all bad ones, or more.

    Given all searches and all bad ones, the candidate's bad ones are hypergeometric; the bound is Hoeffding's,
    Probability Inequalities for Sums of Bounded Random Variables (1963), section 6, from both of its sides. 0 where the
    candidate has no more than its share.
    """
    bad, of = np.asarray(candidate.bad, float), np.asarray(candidate.of, float)
    all_bad, all_of = bad + np.asarray(control.bad, float), of + np.asarray(control.of, float)
    return np.minimum(_tail(bad, of, all_bad, all_of), _tail(bad, all_bad, of, all_of))


def is_broken(rail: Guardrail, control: Count, candidate: Count, look: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """The candidate is worse by the rail's margin, and by more than chance allows at this look, 1, 2, …"""
    with np.errstate(divide="ignore", invalid="ignore"):
        worse = np.asarray(candidate.bad) / np.asarray(candidate.of) - np.asarray(control.bad) / np.asarray(control.of)
    allowed = np.log(level_of_look(LEVEL / len(GUARDRAILS), look))
    return np.asarray((worse >= rail.margin) & (log_chance(control, candidate) <= allowed))


def watched(watch: Watch, window: Window) -> tuple[Watch, tuple[str, ...]]:
    """The watch after one more window, and the harm it found, in words: what was broken in two windows running.

    The levels of all windows add up to LEVEL, so a single window would be enough; the second one spares a candidate
    whose control had one lucky minute.
    """
    look = watch.looks + 1
    running: dict[str, int] = {}
    harm = []
    for rail in GUARDRAILS:
        control, candidate = window.control.get(rail.name), window.candidate.get(rail.name)
        if control is None or candidate is None or not is_broken(rail, control, candidate, look):
            continue
        running[rail.name] = watch.running.get(rail.name, 0) + 1
        if running[rail.name] >= WINDOWS_RUNNING:
            harm.append(
                f"{rail.name}: {_share(candidate)} of the candidate's searches {rail.words}, {_share(control)} of the "
                f"control's, in {running[rail.name]} windows running"
            )
    return Watch(look, running), tuple(harm)


def _tail(hits: Float64, draws: Float64, marked: Float64, total: Float64) -> Float64:
    """Of so many draws out of total, of which some are marked: -draws · KL(hits / draws, marked / total)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        seen, expected = hits / draws, marked / total
        gain = _part(seen, expected) + _part(1 - seen, 1 - expected)
        return np.where((draws > 0) & (seen > expected), -draws * gain, 0.0)


def _part(seen: Float64, expected: Float64) -> Float64:
    return np.where(seen > 0, seen * np.log(np.where(seen > 0, seen, 1.0) / expected), 0.0)


def _share(count: Count) -> str:
    return f"{float(np.asarray(count.bad) / np.asarray(count.of)):.1%}"

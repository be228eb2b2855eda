"""Callers that search and click for simulated weeks: what a rollout's judge sees of them, minute by minute."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from omma.judging.draft import Brought, credit, team_draft
from omma.judging.guardrails import GUARDRAILS, WINDOWS_RUNNING, Count, is_broken
from omma.judging.moments import COLUMNS, Moments

Array = npt.NDArray[Any]

DAY = 1_440
"""Minutes."""
PAGE = 10
_LOOKS = 1 / np.arange(1, PAGE + 1)
"""How often a rank is looked at, by the position-based model of omma.evaluation.clicks."""


@dataclass(frozen=True, slots=True)
class Callers:
    """busy: searches a day; likes: 0 … 1, how readily each clicks; known: their share that was there before."""

    busy: Array
    likes: Array
    known: Array

    @classmethod
    def drawn(cls, rng: np.random.Generator, count: int) -> "Callers":
        """A few search much and most seldom; a click of one who is there daily tells little beyond the first few."""
        busy = rng.gamma(0.5, 2.0, count)
        return cls(busy, rng.beta(4, 4, count), rng.random(count) < 0.7)

    def searches(self, rng: np.random.Generator, days: float) -> tuple[Array, Array]:
        """minute int[n], rising, and caller int[n] of each search; more by day than by night."""
        caller = np.repeat(np.arange(len(self.busy)), rng.poisson(self.busy * days))
        day, hour = rng.random((2, len(caller)))
        by_day = rng.random(len(caller)) < 0.8
        minute = np.floor(day * days) * DAY + (0.3 + 0.6 * hour) * DAY * by_day + hour * DAY * ~by_day
        minute = np.minimum(minute.astype(np.int64), int(days * DAY) - 1)
        order = np.argsort(minute, kind="stable")
        return minute[order], caller[order]

    def before(self, rng: np.random.Generator, ctr: float, days: float = 14) -> Array:
        """float64[callers, 2]: searches with a click and searches, before the rollout."""
        searches = rng.poisson(self.busy * days * self.known)
        return np.column_stack([rng.binomial(searches, _ctr(ctr, self.likes)), searches]).astype(float)


def _ctr(base: float, likes: Array) -> Array:
    """Of callers who like what they are shown so much; on average over Callers.drawn `base`."""
    return np.minimum(2 * base * likes, 1.0)


def worth_of(ctr: float) -> float:
    """How often a picture that is looked at has to be worth a click for pages to be clicked so often, at likes 0.5."""
    tried = np.linspace(1e-4, 0.99, 20_000)
    return float(tried[np.searchsorted(1 - np.prod(1 - tried[:, None] * _LOOKS, axis=1), ctr)])


def moments_by_look(look: Array, caller: Array, steps: Array, before: Array, looks: int) -> Moments:
    """Moments at each look, 0 …: gram float64[looks, 5, 5].

    Searches in order of time: look int[n] is the first that sees it, steps float64[n, 2] what it adds to its caller's
    `gained` and `asked`. before: float64[callers, 2].
    """
    order = np.argsort(caller, kind="stable")
    who, steps = caller[order], steps[order]
    first = np.r_[True, who[1:] != who[:-1]][: len(who)]
    start = np.maximum.accumulate(np.where(first, np.arange(len(who)), 0))
    sums = np.cumsum(steps, axis=0) - steps
    then = sums - sums[start]
    constant = np.ones((len(who), 1))
    after = np.hstack([constant, then + steps, before[who]])
    earlier = np.hstack([constant, then, before[who]]) * ~first[:, None]
    grams = np.empty((looks, 1 + len(COLUMNS), 1 + len(COLUMNS)))
    for row in range(grams.shape[1]):
        for column in range(row + 1):
            step = after[:, row] * after[:, column] - earlier[:, row] * earlier[:, column]
            grams[:, row, column] = grams[:, column, row] = np.cumsum(np.bincount(look[order], step, looks))
    return Moments(grams)


@dataclass(frozen=True, slots=True)
class Split:
    """Callers split once by share: what each arm clicked by the end of each minute that had a search; in the others
    nothing changes, and a look sees what the last one saw."""

    control: Moments
    candidate: Moments


def split(
    rng: np.random.Generator, callers: Callers, days: int, share: float, ctr: float, candidate_ctr: float
) -> Split:
    """Run a split rollout. ctr: the mean of each arm's searches that are clicked."""
    minute, caller = callers.searches(rng, days)
    moved = rng.random(len(callers.busy)) < share
    before = callers.before(rng, ctr)
    rate = np.where(moved[caller], _ctr(candidate_ctr, callers.likes[caller]), _ctr(ctr, callers.likes[caller]))
    steps = np.column_stack([rng.random(len(caller)) < rate, np.ones(len(caller))]).astype(float)
    minutes, look = np.unique(minute, return_inverse=True)
    made = partial(moments_by_look, before=before, looks=len(minutes))
    arms = [made(look[here], caller[here], steps[here]) for here in (~moved[caller], moved[caller])]
    return Split(*arms)


def interleaved(
    rng: np.random.Generator, callers: Callers, days: int, worth: float, candidate_worth: float, shared: int = 5
) -> tuple[Moments, Array]:
    """Run an interleaved rollout with omma.judging's draft and credit; moments and searches at each look of Split.

    Both arms' pages share so many pictures, at ranks of their own; worth: of every picture of an arm's page, when
    looked at by a caller who likes everything half; an arm that is better has better pictures of its own.
    """
    minute, caller = callers.searches(rng, days)
    rows = np.zeros((len(minute), 2))
    pages = np.arange(PAGE), np.r_[np.arange(shared), np.arange(PAGE, 2 * PAGE - shared)]
    own = _own_worth(worth, candidate_worth, shared)
    ranked = [rng.permuted(np.tile(page, (len(minute), 1)), axis=1) for page in pages]
    seeds = rng.integers(0, 2**63, len(minute))
    looked, liked = rng.random((2, len(minute), PAGE))
    seen, eager = looked < _LOOKS, liked / (2 * callers.likes[caller][:, None])
    for at in np.flatnonzero((seen & (eager < max(own, worth))).any(axis=1)):
        page = team_draft(ranked[0][at].tolist(), ranked[1][at].tolist(), int(seeds[at]))[:PAGE]
        worths = np.array([own if one.picture >= PAGE else worth for one in page])
        clicked = [page[rank].picture for rank in np.flatnonzero(seen[at] & (eager[at] < worths))]
        won = credit({one.picture: one.arm for one in page}, clicked)
        rows[at] = won[Brought.CANDIDATE] - won[Brought.CONTROL], won[Brought.CANDIDATE] + won[Brought.CONTROL]
    nothing = np.zeros((len(callers.busy), 2))
    minutes, look = np.unique(minute, return_inverse=True)
    return moments_by_look(look, caller, rows, nothing, len(minutes)), np.cumsum(np.bincount(look))


def _own_worth(worth: float, candidate_worth: float, shared: int) -> float:
    """Of what only the candidate has, where what both have is worth the control's."""
    return min(0.99, worth + (candidate_worth - worth) * PAGE / (PAGE - shared))


def harmless_minutes(rng: np.random.Generator, minutes: int) -> bool:
    """Whether equal arms stay clear of every guardrail in so many windows of a minute each.

    Both arms have the same bad minutes: one in a hundred is an incident in which a fifth of all searches is bad.
    """
    for rail in GUARDRAILS:
        rate = np.where(rng.random(minutes) < 0.01, 0.2, 1 - rng.random(minutes) ** (1 / 60))
        many, few = rng.integers(400, 800, minutes), rng.integers(50, 90, minutes)
        control, candidate = rng.binomial(many, rate), rng.binomial(few, rate)
        # Only these can be broken.
        at = np.flatnonzero(candidate / few - control / many >= rail.margin)
        look = is_broken(rail, Count(control[at], many[at]), Count(candidate[at], few[at]), at + 1)
        broken = np.isin(np.arange(minutes), at[look])
        if np.lib.stride_tricks.sliding_window_view(broken, WINDOWS_RUNNING).all(axis=1).any():
            return False
    return True

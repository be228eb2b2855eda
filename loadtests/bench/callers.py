"""Callers that search and click for simulated weeks: what a rollout's judge sees of them, minute by minute."""

from dataclasses import dataclass, replace
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
_POOL = 40
"""Pictures that either arm may rank among the first."""
_WORTH, _SPREAD = 0.018, 1.2
"""Of a picture of mean relevance, looked at at likes 0.5, a click; and by how much more or less others are. The control
then has three clicked searches in ten."""


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


@dataclass(frozen=True, slots=True)
class Rankers:
    """Two arms that rank the same pictures by how relevant they are, each seen through a blur.

    agreement: 0 … 1, what of the blur both have in common. better: by which the candidate's CTR is higher. Found for a
    control of blur 1: blur of the candidate; shared, of PAGE pictures those that both show; ctr of both, at likes 0.5.
    """

    agreement: float
    better: float = 0.0
    blur: float = 1.0
    shared: float = 0.0
    ctr: tuple[float, float] = (0.0, 0.0)

    def found(self, searches: int = 4_000) -> "Rankers":
        """With the blur that makes the candidate so much better. The same each time."""
        low, high = 0.0, 1.0
        for _ in range(12 if self.better else 0):
            tried = replace(self, blur=(low + high) / 2)
            low, high = (tried.blur, high) if tried._gain(searches) > self.better else (low, tried.blur)
        settled = replace(self, blur=(low + high) / 2 if self.better else 1.0)
        worth, control, candidate = settled.pages(np.random.default_rng(0), searches)
        both = (control[:, :, None] == candidate[:, None, :]).sum() / searches
        return replace(settled, shared=float(both), ctr=(_clicked(worth, control), _clicked(worth, candidate)))

    def pages(self, rng: np.random.Generator, searches: int) -> tuple[Array, Array, Array]:
        """worth float64[n, _POOL], how often a picture that is looked at is clicked; each arm's page int[n, PAGE]."""
        relevant, common, one, other = rng.normal(size=(4, searches, _POOL))
        blurs = [np.sqrt(self.agreement) * common + np.sqrt(1 - self.agreement) * own for own in (one, other)]
        scores = relevant + blurs[0], relevant + self.blur * blurs[1]
        control, candidate = (np.argsort(-score, axis=1)[:, :PAGE] for score in scores)
        return np.minimum(_WORTH * np.exp(_SPREAD * relevant), 0.9), control, candidate

    def _gain(self, searches: int) -> float:
        worth, control, candidate = self.pages(np.random.default_rng(0), searches)
        return _clicked(worth, candidate) / _clicked(worth, control) - 1


def _clicked(worth: Array, page: Array) -> float:
    """Share of the searches that have a click."""
    shown = np.take_along_axis(worth, page, axis=1)
    return float(np.mean(1 - np.prod(1 - shown * _LOOKS, axis=1)))


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


def interleaved(rng: np.random.Generator, callers: Callers, days: float, rankers: Rankers) -> tuple[Moments, Array]:
    """Run an interleaved rollout with omma.judging's draft and credit; moments and searches at each look of Split."""
    minute, caller = callers.searches(rng, days)
    rows = np.zeros((len(minute), 2))
    worth, control, candidate = rankers.pages(rng, len(minute))
    seeds = rng.integers(0, 2**63, len(minute))
    looked, liked = rng.random((2, len(minute), PAGE))
    seen, eager = looked < _LOOKS, liked / (2 * callers.likes[caller][:, None])
    for at in np.flatnonzero((seen & (eager < worth.max(axis=1, keepdims=True))).any(axis=1)):
        page = team_draft(control[at].tolist(), candidate[at].tolist(), int(seeds[at]))[:PAGE]
        of_page = worth[at, [one.picture for one in page]]
        clicked = [page[rank].picture for rank in np.flatnonzero(seen[at] & (eager[at] < of_page))]
        won = credit({one.picture: one.credited for one in page}, clicked)
        rows[at] = won[Brought.CANDIDATE] - won[Brought.CONTROL], won[Brought.CANDIDATE] + won[Brought.CONTROL]
    nothing = np.zeros((len(callers.busy), 2))
    minutes, look = np.unique(minute, return_inverse=True)
    return moments_by_look(look, caller, rows, nothing, len(minutes)), np.cumsum(np.bincount(look))


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

"""Clicks by arm against the formulas as numpy and scipy have them, row by row."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from omma.judging.confidence import half_width, level_of_look
from omma.judging.estimate import beyond, difference, log_ratio, win_margin
from omma.judging.moments import Moments
from omma.judging.sample_ratio import LEVEL, is_off, log_evidence


def _callers(rng: np.random.Generator, count: int, ctr: float, *, known: float = 1.0) -> np.ndarray:
    """float64[count, 4] as COLUMNS has them; what a caller did before tells of what it does."""
    busy = rng.gamma(1.0, 4.0, count)
    likes = np.clip(ctr * rng.gamma(4.0, 0.25, count), 0, 1)
    searches, before = rng.poisson(busy) + 1, rng.poisson(known * busy)
    return np.column_stack([rng.binomial(searches, likes), searches, rng.binomial(before, likes), before]).astype(float)


def test_the_ratio_is_the_delta_methods_clustered_by_caller() -> None:
    rng = np.random.default_rng(1)
    arms = _callers(rng, 4_000, 0.3), _callers(rng, 1_000, 0.33)
    found = log_ratio(*map(Moments.of, arms), cuped=False)
    variance = 0.0
    for rows in arms:
        residuals = rows[:, 0] - rows[:, 0].sum() / rows[:, 1].sum() * rows[:, 1]
        variance += (residuals**2).sum() / rows[:, 0].sum() ** 2
    expected = math.log((arms[1][:, 0].sum() / arms[1][:, 1].sum()) / (arms[0][:, 0].sum() / arms[0][:, 1].sum()))
    assert float(found.value) == pytest.approx(expected, abs=2e-3)
    wide = float(half_width(np.asarray(math.sqrt(variance)), 0.035, 0.03))
    assert float(found.high - found.low) == pytest.approx(2 * wide, rel=2e-3)


def test_what_callers_did_before_is_regressed_away_as_least_squares_does() -> None:
    rng = np.random.default_rng(2)
    arms = _callers(rng, 3_000, 0.3), _callers(rng, 3_000, 0.3)
    found = log_ratio(*map(Moments.of, arms))
    influence, before = [], []
    for sign, rows in zip((-1, 1), arms, strict=True):
        gained = rows[:, 0].sum()
        influence.append(sign * (rows[:, 0] - gained / rows[:, 1].sum() * rows[:, 1]) / gained)
        before.append(sign * (rows[:, 2:] - rows[:, 2:].mean(0)) / len(rows))
    y, x = np.concatenate(influence), np.concatenate(before)
    theta, rest, _, _ = np.linalg.lstsq(x, y, rcond=None)
    shift = arms[1][:, 2:].mean(0) - arms[0][:, 2:].mean(0)
    plain = log_ratio(*map(Moments.of, arms), cuped=False)
    assert float(found.value) == pytest.approx(float(plain.value) - theta @ shift, abs=1e-4)
    wide = float(half_width(np.sqrt(rest[0]), 0.035, 0.03))
    assert float(found.high - found.low) == pytest.approx(2 * wide, rel=5e-3)
    assert found.high - found.low < 0.95 * (plain.high - plain.low)


def test_nothing_known_of_before_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    arms = [Moments.of(_callers(rng, 500, 0.3, known=0.0)) for _ in range(2)]
    assert log_ratio(*arms) == pytest.approx(log_ratio(*arms, cuped=False)) or np.allclose(
        [log_ratio(*arms).low, log_ratio(*arms).high],
        [log_ratio(*arms, cuped=False).low, log_ratio(*arms, cuped=False).high],
    )


def test_a_few_clicks_say_nothing_and_none_where_many_were_due_says_much() -> None:
    rng = np.random.default_rng(4)
    control = Moments.of(_callers(rng, 5_000, 0.3))
    few = log_ratio(control, Moments.of(_callers(rng, 20, 0.3)))
    assert math.isnan(few.value) and few.low == -math.inf and few.high == math.inf
    rows = _callers(rng, 1_000, 0.3)
    rows[:, 0] = 0
    assert math.isnan(log_ratio(control, Moments.of(rows)).value)
    assert beyond(control, Moments.of(rows), 0.8).high < 0
    assert beyond(control, Moments.of(_callers(rng, 1_000, 0.27)), 0.8).high > 0


def test_the_difference_is_the_ratio_in_points() -> None:
    rng = np.random.default_rng(5)
    control, candidate = Moments.of(_callers(rng, 4_000, 0.3)), Moments.of(_callers(rng, 4_000, 0.4))
    points = difference(control, candidate, log_ratio(control, candidate, cuped=False))
    assert float(points.value) == pytest.approx(float(candidate.rate - control.rate), abs=1e-3)
    assert points.low < points.value < points.high


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.7))
def test_an_interval_looked_at_all_along_keeps_the_truth(seed: int, share: float) -> None:
    """Callers come one after another, each credits many clicks alike; every look counts."""
    rng = np.random.default_rng(seed)
    callers = 3_000
    clicks = rng.integers(1, 20, callers)
    won = rng.binomial(clicks, np.clip(rng.normal(share, 0.2, callers), 0, 1))
    rows = np.column_stack([np.ones(callers), 2 * won - clicks, clicks, np.zeros((callers, 2))])
    grams = np.cumsum(rows[:, :, None] * rows[:, None, :], axis=0)
    found = win_margin(Moments(grams))
    truth = 2 * np.clip(rng.normal(share, 0.2, 1_000_000), 0, 1).mean() - 1
    # Each example may miss with 3.5 %; a miss by more than half the interval's width would be a fault of the formula.
    slack = 0.5 * (found.high - found.low)
    assert ((found.low - slack <= truth) & (truth <= found.high + slack)).all()


def test_intervals_of_equal_arms_hold_at_every_look_at_their_level() -> None:
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(400):
        clicks = rng.integers(1, 4, 4_000)
        rows = np.column_stack([np.ones(4_000), 2 * rng.binomial(clicks, 0.5) - clicks, clicks, np.zeros((4_000, 2))])
        found = win_margin(Moments(np.cumsum(rows[:, :, None] * rows[:, None, :], axis=0)))
        missed += bool(((found.low > 0) | (found.high < 0)).any())
    assert missed <= stats.binom.ppf(0.999, 400, 0.035)


def test_an_interval_is_narrowest_in_its_own_terms_where_it_is_tuned() -> None:
    errors = np.geomspace(1e-4, 1, 401)
    times = half_width(errors, 0.035, 0.03) / errors
    assert errors[times.argmin()] == pytest.approx(0.03, rel=0.15)
    assert times.min() < 1.55 * stats.norm.ppf(1 - 0.035 / 2)
    assert half_width(np.asarray(np.inf), 0.035, 0.03) == np.inf


def test_levels_of_looks_add_up_to_no_more_than_what_there_is() -> None:
    spent = level_of_look(0.01, np.arange(1, 2_000_000)).sum()
    assert 0.9 * 0.01 < spent < 0.01


def test_the_sample_ratios_evidence_is_the_beta_binomials() -> None:
    share, control, candidate = 0.05, 9_000, 600
    expected = stats.betabinom.logpmf(
        candidate, control + candidate, 1_000 * share, 1_000 * (1 - share)
    ) - stats.binom.logpmf(candidate, control + candidate, share)
    assert float(log_evidence(control, candidate, share)) == pytest.approx(float(expected), rel=1e-9)


def test_equal_shares_looked_at_after_every_caller_are_seldom_called_off_and_wrong_ones_are() -> None:
    rng = np.random.default_rng(7)
    off = 0
    for _ in range(300):
        moved = np.cumsum(rng.random(3_000) < 0.3)
        off += bool((log_evidence(np.arange(1, 3_001) - moved, moved, 0.3) > -math.log(LEVEL)).any())
    assert off <= stats.binom.ppf(0.999, 300, LEVEL)
    assert is_off(9_300, 700, 0.05) and not is_off(9_480, 520, 0.05)
    assert not is_off(0, 50, 1.0)

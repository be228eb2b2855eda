"""The judge where the truth is known, in a small seeded form of loadtests/rollout_validity.py."""

import numpy as np
from scipy import stats

from loadtests.bench.callers import DAY, Callers, Rankers, harmless_minutes, interleaved, split
from omma.judging.estimate import LEVEL as CLICKS_LEVEL
from omma.judging.estimate import beyond, log_ratio, win_margin
from omma.judging.guardrails import LEVEL as GUARDRAILS_LEVEL

CTR = 0.3


def test_the_levels_that_are_spent_leave_room_within_a_twentieth() -> None:
    assert CLICKS_LEVEL + GUARDRAILS_LEVEL <= 0.05


def test_equal_arms_looked_at_every_minute_come_to_nothing_but_wait() -> None:
    runs, outcomes = 40, 0
    for seed in range(runs):
        rng = np.random.default_rng([1, seed])
        run = split(rng, Callers.drawn(rng, 300), 7, (0.1, 0.5)[seed % 2], CTR, CTR)
        ratio = log_ratio(run.control, run.candidate)
        told = ((ratio.low > 0) | (ratio.high < 0) | (beyond(run.control, run.candidate, 0.8).high < 0)).any()
        outcomes += bool(told) or not harmless_minutes(rng, DAY)
    assert outcomes <= stats.binom.ppf(0.999, runs, 0.05)


def test_interleaving_equal_arms_comes_to_nothing() -> None:
    runs, outcomes = 20, 0
    for seed in range(runs):
        rng = np.random.default_rng([2, seed])
        moments, _ = interleaved(rng, Callers.drawn(rng, 100), 4, Rankers(0.5))
        found = win_margin(moments)
        outcomes += bool(((found.low > 0) | (found.high < 0)).any())
    assert outcomes <= stats.binom.ppf(0.999, runs, 0.05)


def test_a_better_arm_is_told_and_a_bad_one_is_harm() -> None:
    rng = np.random.default_rng(3)
    better = split(rng, Callers.drawn(rng, 10_000), 5, 0.5, CTR, 1.2 * CTR)
    assert (log_ratio(better.control, better.candidate).low > 0).any()
    bad = split(rng, Callers.drawn(rng, 10_000), 5, 0.05, CTR, 0.5 * CTR)
    harm = beyond(bad.control, bad.candidate, 0.8).high < 0
    assert harm.any() and bad.candidate.gained[harm.argmax()] < 200
    moments, _ = interleaved(rng, Callers.drawn(rng, 300), 3, Rankers(0.5, blur=0.4))
    assert (win_margin(moments).low > 0).any()

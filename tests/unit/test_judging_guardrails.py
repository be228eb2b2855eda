"""What counts as harm, and what is said of it."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from omma.judging import latencies
from omma.judging.guardrails import (
    GUARDRAILS,
    LEVEL,
    WINDOWS_RUNNING,
    Count,
    Guardrail,
    Watch,
    Window,
    is_broken,
    log_chance,
    watched,
)
from omma.judging.moments import Moments
from omma.judging.verdict import Decision, interleaved_verdict, split_verdict


@given(st.integers(0, 300), st.integers(1, 300), st.integers(0, 300), st.integers(1, 300))
def test_the_chance_is_never_told_smaller_than_fishers(bad: int, of: int, other_bad: int, other_of: int) -> None:
    bad, other_bad = min(bad, of), min(other_bad, other_of)
    exact = stats.hypergeom.sf(bad - 1, of + other_of, bad + other_bad, of)
    assert float(log_chance(Count(other_bad, other_of), Count(bad, of))) >= math.log(max(exact, 1e-300)) - 1e-6


def test_the_chance_is_near_fishers_where_it_matters() -> None:
    found = float(log_chance(Count(0, 950), Count(10, 50)))
    exact = stats.hypergeom.logsf(9, 1_000, 10, 50)
    assert exact <= found < 0.75 * exact


def _window(control: int, candidate: int, name: str = "errors") -> Window:
    return Window(50, {name: Count(control, 950)}, {name: Count(candidate, 50)})


@pytest.mark.parametrize("rail", GUARDRAILS, ids=lambda rail: rail.name)
def test_harm_is_what_is_broken_in_two_windows_running(rail: Guardrail) -> None:
    name = rail.name
    watch, harm = watched(Watch(), _window(3, 25, name))
    assert harm == () and watch.running == {name: 1}
    calm, none = watched(watch, _window(3, 0, name))
    assert none == () and calm.running == {}
    assert watched(calm, _window(3, 25, name))[1] == ()
    watch, harm = watched(watch, _window(3, 25, name))
    assert len(harm) == 1 and harm[0].startswith(f"{name}: 50.0% of the candidate's searches")
    assert "0.3% of the control's" in harm[0] and f"{WINDOWS_RUNNING} windows" in harm[0]


def test_what_was_not_measured_is_not_broken() -> None:
    assert watched(Watch(), Window(50, {"errors": Count(0, 100)}, {}))[1] == ()
    assert (
        watched(Watch(1, {"errors": 1}), Window(50, {"errors": Count(0, 0)}, {"errors": Count(0, 0)}))[0].running == {}
    )


def test_trouble_that_both_arms_have_is_nobodys() -> None:
    watch = Watch()
    for _ in range(10):
        watch, harm = watched(watch, _window(475, 25))
        assert harm == ()


def test_equal_arms_are_seldom_called_broken_even_once_in_many_windows() -> None:
    """Even without the second window that harm needs."""
    rng = np.random.default_rng(1)
    looks = np.arange(1, 2_001)
    broken = 0
    for _ in range(200):
        shares = rng.beta(0.5, 8, len(looks))
        counts = Count(rng.binomial(200, shares), 200), Count(rng.binomial(50, shares), 50)
        broken += any(is_broken(rail, *counts, looks).any() for rail in GUARDRAILS)
    assert broken <= stats.binom.ppf(0.999, 200, LEVEL)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_known_within_a_bucket(values: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[latencies.bucket_of(value)] = counts.get(latencies.bucket_of(value), 0) + 1
    exact = sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
    found = latencies.quantile_ms(counts, share)
    assert found is not None
    if exact < latencies.upper_ms(127):
        assert max(exact, 1) * (1 - 1e-9) <= found <= max(exact, 1) * 1.1 * (1 + 1e-9)
    assert latencies.slower_than(counts, found) <= (1 - share) * len(values) + 1e-6


def test_no_latencies_have_no_quantile() -> None:
    assert latencies.quantile_ms({}, 0.95) is None


def _arm(callers: int, ctr: float, seed: int) -> Moments:
    rng = np.random.default_rng(seed)
    searches = rng.integers(1, 10, callers)
    clicks = rng.binomial(searches, ctr)
    return Moments.of([(float(a), float(b), 0.0, 0.0) for a, b in zip(clicks, searches, strict=True)])


def test_verdicts_of_a_split() -> None:
    control = _arm(5_000, 0.3, 1)
    alike = split_verdict(control, _arm(5_000, 0.3, 2), 0.5)
    assert alike.decision is Decision.WAIT and "surely between" in alike.reasons[0]
    better = split_verdict(control, _arm(5_000, 0.36, 3), 0.5)
    assert better.decision is Decision.PROMOTE and not better.harm
    assert 1 < better.figures["ctr_ratio"]["low"] < 1.2 < better.figures["ctr_ratio"]["high"] < 1.4
    worse = split_verdict(control, _arm(5_000, 0.27, 4), 0.5)
    assert worse.decision is Decision.ROLL_BACK and not worse.harm
    bad = split_verdict(control, _arm(5_000, 0.1, 5), 0.5)
    assert bad.decision is Decision.ROLL_BACK and bad.harm and "below 0.8 times" in bad.reasons[0]
    none = split_verdict(control, _arm(5_000, 0.0, 5), 0.5)
    assert none.decision is Decision.ROLL_BACK and none.harm


def test_a_better_arm_with_the_wrong_share_of_callers_waits() -> None:
    verdict = split_verdict(_arm(5_000, 0.3, 1), _arm(4_000, 0.4, 2), 0.5)
    assert verdict.decision is Decision.WAIT and "cannot be trusted" in verdict.reasons[0]
    assert verdict.figures["sample_ratio_off"] is True


def test_nothing_yet_waits_and_has_figures_that_json_can_hold() -> None:
    verdict = split_verdict(Moments.of([]), Moments.of([]), 0.05)
    assert verdict.decision is Decision.WAIT and "fewer than" in verdict.reasons[0]
    assert json.loads(json.dumps(verdict.figures, allow_nan=False))["ctr"] == {"control": None, "candidate": None}
    few = split_verdict(_arm(20, 0.5, 1), _arm(20, 0.5, 2), 0.5)
    assert set(few.figures["ctr_difference"].values()) == {None}


def test_harm_is_told_before_clicks() -> None:
    verdict = split_verdict(_arm(5_000, 0.3, 1), _arm(5_000, 0.36, 3), 0.5, ("errors: many",))
    assert verdict.decision is Decision.ROLL_BACK and verdict.harm and verdict.reasons == ("errors: many",)


def _interleaved(share: float, seed: int, callers: int = 3_000) -> Moments:
    rng = np.random.default_rng(seed)
    clicks = rng.integers(1, 4, callers)
    won = rng.binomial(clicks, share)
    return Moments.of([(float(2 * w - c), float(c), 0.0, 0.0) for w, c in zip(won, clicks, strict=True)])


def test_verdicts_of_interleaving() -> None:
    assert interleaved_verdict(_interleaved(0.5, 1)).decision is Decision.WAIT
    better = interleaved_verdict(_interleaved(0.56, 2))
    assert better.decision is Decision.PROMOTE and 0.5 < better.figures["win_rate"]["low"] < 0.56
    bad = interleaved_verdict(_interleaved(0.0, 3))
    assert bad.decision is Decision.ROLL_BACK and bad.harm
    assert interleaved_verdict(Moments.of([])).decision is Decision.WAIT

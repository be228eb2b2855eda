"""Sharing callers out: the share that is asked for, and nobody changes sides as it grows."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery, WrongState
from omma.identity import Tenant
from omma.rollouts.arms import BLOCK, Arm, arm_of, checked_share
from omma.rollouts.gates import build_gates, require_met, shadow_gates
from omma.rollouts.rollout import RolloutId

R, ANN = RolloutId("r"), Tenant("ann")
shares = st.floats(1, 100)


def _points_off(rollout: str, callers: list[str], share: float) -> float:
    candidates = sum(arm_of(RolloutId(rollout), ANN, caller, share) is Arm.CANDIDATE for caller in callers)
    return abs(100 * candidates / len(callers) - share)


@pytest.mark.parametrize("share", [1, 5, 20, 33.3, 50, 80, 99])
def test_the_share_of_numbered_callers_is_what_was_asked_for_in_every_rollout(share: float) -> None:
    for rollout, first in (("r1", 0), ("r2", 4_711)):
        callers = [f"user u{first + n}" for n in range(10_000)]
        assert _points_off(rollout, callers, share) < 0.5
    assert all(arm_of(R, ANN, f"user {n}", 100) is Arm.CANDIDATE for n in range(1_000))


def test_the_share_of_any_other_callers_is_off_by_no_more_than_chance() -> None:
    callers = [f"session {hashlib.md5(str(n).encode()).hexdigest()}-x" for n in range(20_000)]
    for share in (5, 50):
        four_deviations = 400 * math.sqrt(share / 100 * (1 - share / 100) / len(callers))
        assert _points_off("r1", callers, share) < four_deviations


def test_numbers_say_nothing_of_the_side_beyond_their_block() -> None:
    """Even ones may be one kind of caller and odd ones another; and what one rollout drew says nothing of the next."""
    drawn = {
        rollout: np.array([arm_of(RolloutId(rollout), ANN, f"u{n}", 50) is Arm.CANDIDATE for n in range(12_800)])
        for rollout in ("r1", "r2")
    }
    for step in (2, 3, 8, BLOCK):
        for start in range(min(step, 4)):
            assert abs(drawn["r1"][start::step].mean() - 0.5) < 4 * 0.5 / math.sqrt(12_800 / step)
    assert abs((drawn["r1"] == drawn["r2"]).mean() - 0.5) < 4 * 0.5 / math.sqrt(12_800)


@given(st.one_of(st.text(max_size=20), st.from_regex(r"\A[a-z]{0,3}[0-9]{1,25}\Z")), shares, shares)
def test_a_larger_share_only_adds_callers(caller: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert arm_of(R, ANN, caller, small) is arm_of(R, ANN, caller, small)
    if arm_of(R, ANN, caller, small) is Arm.CANDIDATE:
        assert arm_of(R, ANN, caller, large) is Arm.CANDIDATE


def test_each_rollout_and_each_tenant_draw_anew() -> None:
    def drawn(rollout: str, tenant: str) -> list[Arm]:
        return [arm_of(RolloutId(rollout), Tenant(tenant), str(n), 50) for n in range(100)]

    assert len({tuple(drawn(rollout, tenant)) for rollout in "ab" for tenant in "ab"}) == 4


@pytest.mark.parametrize("share", [0, 0.5, 101, -1, math.nan, math.inf])
def test_no_other_share_is_taken(share: float) -> None:
    with pytest.raises(InvalidQuery) as raised:
        checked_share(share)
    assert raised.value.field == "share"


def test_a_gate_that_is_not_met_is_named_with_what_it_needs() -> None:
    require_met(build_gates({"missing": 0, "recall_at_10": 0.99}))
    with pytest.raises(WrongState, match="missing is 3"):
        require_met(build_gates({"missing": 3, "recall_at_10": 0.99}))
    good = {"searches": 500, "error_share": 0.0, "p95_ratio": 1.5}
    require_met(shadow_gates(good))
    for worse in ({"searches": 499}, {"error_share": 0.02}, {"p95_ratio": 1.6}, {"ndcg_loss_upper": 0.02}):
        with pytest.raises(WrongState, match=next(iter(worse)).removesuffix("es")):
            require_met(shadow_gates({**good, **worse}))
    with pytest.raises(WrongState):
        require_met(shadow_gates({}))

"""Sharing callers out: the share that is asked for, and nobody changes sides as it grows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery, WrongState
from omma.identity import Tenant
from omma.rollouts.arms import Arm, arm_of, checked_share
from omma.rollouts.gates import build_gates, require_met, shadow_gates
from omma.rollouts.rollout import RolloutId

R, ANN = RolloutId("r"), Tenant("ann")
shares = st.floats(1, 100)


@pytest.mark.parametrize("share", [1, 5, 20, 50, 99])
def test_the_share_is_what_was_asked_for(share: float) -> None:
    candidates = sum(arm_of(R, ANN, f"user {n}", share) is Arm.CANDIDATE for n in range(100_000))
    assert abs(candidates / 1_000 - share) < 0.5
    assert all(arm_of(R, ANN, f"user {n}", 100) is Arm.CANDIDATE for n in range(1_000))


@given(st.text(max_size=20), shares, shares)
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

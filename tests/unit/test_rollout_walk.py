"""The walk of a rollout: whatever is asked in whatever order, one index is live and no state is skipped."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omma.errors import WrongState
from omma.index import IndexState
from omma.rollouts.rollout import RUNNING, RolloutState
from omma.rollouts.walk import TABLE, Standing, Step, after, allowed_steps

BEGUN = Standing(RolloutState.BUILDING, IndexState.BUILDING, IndexState.LIVE)


class Walk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = BEGUN
        self.passed = [BEGUN.candidate]

    @rule(step=st.sampled_from(Step))
    def take(self, step: Step) -> None:
        allowed = allowed_steps(self.now)
        try:
            self.now = after(step, self.now)
        except WrongState as error:
            assert step not in allowed
            assert all(one in error.detail for one in allowed)
            return
        assert step in allowed or step is Step.SHADOW
        self.passed.append(self.now.candidate)

    @invariant()
    def one_index_is_live(self) -> None:
        assert [self.now.candidate, self.now.control].count(IndexState.LIVE) == 1

    @invariant()
    def no_state_is_skipped(self) -> None:
        if IndexState.LIVE in self.passed:
            assert IndexState.CANARY in self.passed[: self.passed.index(IndexState.LIVE)]
        if IndexState.CANARY in self.passed:
            assert IndexState.SHADOW in self.passed[: self.passed.index(IndexState.CANARY)]

    @invariant()
    def a_retired_candidate_stays_so(self) -> None:
        if IndexState.RETIRED in self.passed:
            assert self.now.candidate is IndexState.RETIRED

    @invariant()
    def a_rollout_that_runs_as_its_candidate_is_called(self) -> None:
        if self.now.rollout in RUNNING - {RolloutState.PAUSED}:
            assert self.now.candidate == self.now.rollout.value


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def test_every_row_of_the_table_can_be_reached() -> None:
    reached, wave = {BEGUN}, [BEGUN]
    while wave:
        now = wave.pop()
        for step, before, then in TABLE:
            if before.fits(now) and then.onto(now) not in reached:
                assert after(step, now) == then.onto(now)
                reached.add(then.onto(now))
                wave.append(then.onto(now))
    assert all(any(before.fits(now) for now in reached) for _, before, _ in TABLE)
    assert {now.rollout for now in reached} == set(RolloutState)


@pytest.mark.parametrize(
    ("step", "now"),
    [
        (Step.PROMOTE, BEGUN),
        (Step.PROMOTE, Standing(RolloutState.SHADOW, IndexState.SHADOW, IndexState.LIVE)),
        (Step.RETIRE, Standing(RolloutState.CANARY, IndexState.CANARY, IndexState.LIVE)),
        (Step.ROLLBACK, Standing(RolloutState.ABORTED, IndexState.RETIRED, IndexState.LIVE)),
        (Step.ROLLBACK, Standing(RolloutState.PROMOTED, IndexState.STANDBY, IndexState.STANDBY)),
    ],
)
def test_what_must_not_be(step: Step, now: Standing) -> None:
    with pytest.raises(WrongState):
        after(step, now)

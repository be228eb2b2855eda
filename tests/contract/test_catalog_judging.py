"""What a rollout is judged by in the catalog, and decisions that only the lease's holder takes."""

from collections import Counter
from dataclasses import replace

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.judgement import Fence, Judgement
from omma.catalog.rollout import Told
from omma.errors import Absent, WrongState
from omma.index import IndexState
from omma.judging.tally import ArmMinute
from omma.rollouts.rollout import RolloutState
from omma.rollouts.walk import Step
from tests.contract.catalogs import Clock
from tests.contract.rollouts import CANDIDATE, OTHER, ROLLOUT, TOLD, states, with_live_index

FENCE = Fence("judge", "worker 1")
BACK = Judgement({"verdict": {"decision": "roll_back"}}, Step.ROLLBACK, Told("judge", "errors", {"n": 1}))


async def _in_canary(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)


def _minute(minute: int, arm: str = "control", **counts: float) -> ArmMinute:
    return ArmMinute(minute, arm, Counter(counts))  # type: ignore[arg-type]


async def test_minutes_are_what_each_follower_said_last(catalog: Catalog) -> None:
    await catalog.put_arm_minutes("r", "a", [_minute(5, searches=1), _minute(5, "candidate", searches=2, overlap=0.5)])
    await catalog.put_arm_minutes("r", "a", [_minute(5, searches=3), _minute(6, searches=1)])
    await catalog.put_arm_minutes("r", "b", [_minute(5, searches=7)])
    await catalog.put_arm_minutes("other", "b", [_minute(5, searches=7)])
    await catalog.put_arm_minutes("r", "b", [])
    assert await catalog.arm_minutes("r", 4, 5) == [
        _minute(5, "candidate", searches=2, overlap=0.5),
        _minute(5, searches=3),
        _minute(5, searches=7),
    ]
    assert await catalog.arm_minutes("r", 5, 9) == [_minute(6, searches=1)]
    await catalog.drop_arm_minutes(6)
    assert await catalog.arm_minutes("r", 0, 9) == [_minute(6, searches=1)]
    assert await catalog.arm_minutes("other", 0, 9) == []


async def test_a_decision_is_the_lease_holders_whole(catalog: Catalog, clock: Clock) -> None:
    await _in_canary(catalog)
    before = await catalog.routing()
    with pytest.raises(WrongState) as refused:
        await catalog.judge_rollout(ROLLOUT.id, FENCE, BACK)
    assert refused.value.field == "lease"
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, replace(FENCE, holder="worker 2"), BACK)
    assert await catalog.routing() == before
    noted = await catalog.judge_rollout(ROLLOUT.id, FENCE, Judgement({"canary": {"a": 1}}))
    assert (noted.state, noted.figures) == (RolloutState.CANARY, {"canary": {"a": 1}})
    moved = await catalog.judge_rollout(ROLLOUT.id, FENCE, BACK)
    assert moved.state is RolloutState.ROLLED_BACK
    assert moved.figures == {"canary": {"a": 1}, "verdict": {"decision": "roll_back"}}
    assert (await states(catalog))[CANDIDATE.id] is IndexState.SHADOW
    last = (await catalog.rollout_audit(ROLLOUT.id))[-1]
    assert (last.step, last.by, last.reason, last.figures) == ("rollback", "judge", "errors", {"n": 1})


async def test_a_judge_whose_lease_ran_out_decides_nothing(catalog: Catalog, clock: Clock) -> None:
    await _in_canary(catalog)
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    clock.seconds += 61
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, FENCE, BACK)
    assert (await catalog.rollout(ROLLOUT.id)).state is RolloutState.CANARY


async def test_figures_of_a_step_that_is_refused_are_not_kept(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, FENCE, BACK)
    assert (await catalog.rollout(ROLLOUT.id)).figures == {}
    with pytest.raises(Absent):
        await catalog.judge_rollout("none", FENCE, BACK)


async def test_of_nobody_there_are_no_moments(catalog: Catalog) -> None:
    assert await catalog.arm_moments("r", 0) == {}
    await catalog.remember_before("r", 0)
    assert await catalog.arm_moments("r", 0) == {}

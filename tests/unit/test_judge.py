"""The judge over a real catalog: minutes become figures, harm becomes a step back, and only one judge decides."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import WrongState
from omma.index import IndexState
from omma.judging.tally import SHADOW, TRIPPED, Answer, ArmMinute, Tally, of_search, of_shadowed, total
from omma.rollouts.rollout import RolloutState
from omma.rollouts.walk import Step
from services.gateway.rest.rollouts import rollout_document
from services.gateway.rollouts.fitness import Fitness
from services.gateway.rollouts.rollouts import Candidates, Rollouts
from services.worker.judge import Judge
from tests.contract.rollouts import CANDIDATE, LIVE, OTHER, ROLLOUT, TOLD, with_live_index

GOOD = of_search(Answer([1], [0.9], 10.0))
BAD = of_search(None)


class Court:
    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.seconds = 1_000_000 * 60.0
        self.judge = Judge(catalog, "w1", 60.0, clock=self.now)

    def now(self) -> float:
        return self.seconds

    async def minute(self, **arms: Tally) -> None:
        """A minute passes in which a gateway counted this, and the judge looks."""
        self.seconds += 60
        at, stage = int(self.seconds // 60), (await self.catalog.rollout(ROLLOUT.id)).changed_at_ms
        told = [ArmMinute(at, arm, counts, stage) for arm, counts in arms.items()]
        await self.catalog.put_arm_minutes(ROLLOUT.id, "g1", told)
        await self.judge.look()


@pytest.fixture
async def court(tmp_path: Path) -> AsyncIterator[Court]:
    clock: list[Court] = []
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=lambda: clock[0].seconds)
    court = Court(catalog)
    clock.append(court)
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
    yield court
    await catalog.close()


def rollouts(catalog: Catalog) -> Rollouts:
    """As administrators ask for steps; no model and no place is looked for."""
    return Rollouts(catalog, cast(Candidates, None), cast(Fitness, None), keep_for_seconds=0)


def many(counts: Tally, n: int) -> Tally:
    return total([counts] * n)


async def test_the_shadows_figures_are_kept_with_the_rollout(court: Court) -> None:
    answer = Answer([1, 2, 3], [0.9, 0.8, 0.7], 10.0)
    for _ in range(3):
        await court.minute(**{SHADOW: many(of_shadowed(answer, Answer([1, 2, 9], [0.9, 0.8, 0.6], 12.0)), 200)})
    figures = (await court.catalog.rollout(ROLLOUT.id)).figures["shadow"]
    assert (figures["searches"], figures["error_share"]) == (600, 0)
    assert figures["overlap_at_10"] == pytest.approx(2 / 3, abs=1e-5)
    assert 1.0 <= figures["p95_ratio"] <= 1.34
    # Another step begins another comparison.
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    await court.minute(control=many(GOOD, 10))
    rollout = await court.catalog.rollout(ROLLOUT.id)
    assert rollout.figures["canary"]["arms"] == {"control": {"searches": 10, "errors": 0}}
    assert rollout.figures["shadow"]["searches"] == 600
    assert rollout.figures["verdict"]["verdict"] == "wait"


async def test_errors_in_two_windows_running_go_back_with_the_reason_in_words(court: Court) -> None:
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    bad = many(GOOD, 40) + many(BAD, 20)
    await court.minute(control=many(GOOD, 900), candidate=bad)
    assert (await court.catalog.rollout(ROLLOUT.id)).state is RolloutState.CANARY
    await court.minute(control=many(GOOD, 900), candidate=bad)
    rollout = await court.catalog.rollout(ROLLOUT.id)
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.figures["verdict"]["verdict"] == "roll_back"
    told = rollout_document(rollout, CANDIDATE, LIVE)
    assert (told["verdict"], told["canary"]["arms"]["control"]["searches"]) == ("roll_back", 1_800)
    assert "watched" not in told["figures"] and "errors: " in told["reasons"][0]
    last = (await court.catalog.rollout_audit(ROLLOUT.id))[-1]
    assert (last.by, last.step) == ("judge", "rollback")
    assert "errors: 33.3% of the candidate's searches failed, 0.0% of the control's" in last.reason
    assert last.figures["canary"]["arms"]["candidate"] == {"searches": 120, "errors": 40}
    event = (await court.catalog.unsent_steps(100))[-1]
    assert (event.by, event.step, event.state, event.reason) == ("judge", "rollback", "rolled_back", last.reason)


async def test_a_slow_candidate_goes_back(court: Court) -> None:
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    slow = of_search(Answer([1], [0.9], 40.0))
    for _ in range(3):
        await court.minute(control=many(GOOD, 900), candidate=many(slow, 60))
    last = (await court.catalog.rollout_audit(ROLLOUT.id))[-1]
    assert "slow: 100.0% of the candidate's searches took more than 1.5 times" in last.reason


async def test_what_the_judge_took_back_earns_its_share_again_or_is_forced(court: Court) -> None:
    walk = rollouts(court.catalog)
    answer = Answer([1, 2, 3], [0.9, 0.8, 0.7], 10.0)
    await court.minute(**{SHADOW: many(of_shadowed(answer, answer), 600)})
    assert (await walk.canary(ROLLOUT.id, 5.0, "ann")).state is RolloutState.CANARY
    await court.minute(candidate=many(BAD, 20) + Counter({TRIPPED: 1}))
    back = await court.catalog.rollout(ROLLOUT.id)
    assert back.state is RolloutState.ROLLED_BACK
    with pytest.raises(WrongState, match="harm is 1") as refused:
        await walk.canary(ROLLOUT.id, 5.0, "ann")
    assert refused.value.field == "gates"
    shadow = replace(CANDIDATE, state=IndexState.SHADOW)
    unmet = [gate["name"] for gate in rollout_document(back, shadow, LIVE)["gates"] if not gate["met"]]
    assert unmet == ["harm"], "what the shadow told had let it in"
    assert (await court.catalog.rollout(ROLLOUT.id)).state is RolloutState.ROLLED_BACK
    assert (await walk.canary(ROLLOUT.id, 5.0, "ann", force=True)).state is RolloutState.CANARY
    audit = (await court.catalog.rollout_audit(ROLLOUT.id))[-1]
    assert audit.figures["forced"] and audit.figures["gates"][-1]["name"] == "harm"


async def test_what_was_never_shadowed_is_not_let_in_again_because_it_was_before(court: Court) -> None:
    walk = rollouts(court.catalog)
    await walk.canary(ROLLOUT.id, 5.0, "ann", force=True)
    await court.catalog.move_rollout(ROLLOUT.id, Step.ROLLBACK, TOLD)
    with pytest.raises(WrongState, match="shadowed_searches"):
        await walk.canary(ROLLOUT.id, 5.0, "ann")


async def test_what_was_live_needs_to_earn_nothing(court: Court) -> None:
    walk = rollouts(court.catalog)
    await walk.canary(ROLLOUT.id, 5.0, "ann", force=True)
    for step in (Step.PROMOTE, Step.ROLLBACK):
        await court.catalog.move_rollout(ROLLOUT.id, step, TOLD)
    assert (await walk.canary(ROLLOUT.id, 5.0, "ann")).state is RolloutState.CANARY
    assert (await walk.canary(ROLLOUT.id, 50.0, "ann")).share == 50.0, "and another share is no new one"


async def test_a_gateway_that_tripped_is_enough(court: Court) -> None:
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    await court.minute(candidate=many(BAD, 20) + Counter({TRIPPED: 1}))
    assert (await court.catalog.rollout(ROLLOUT.id)).state is RolloutState.ROLLED_BACK


async def test_an_equal_candidate_waits(court: Court) -> None:
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    for _ in range(10):
        await court.minute(control=many(GOOD, 900) + many(BAD, 9), candidate=many(GOOD, 60) + many(BAD, 1))
    rollout = await court.catalog.rollout(ROLLOUT.id)
    assert rollout.state is RolloutState.CANARY
    assert rollout.figures["verdict"] == {
        "verdict": "wait",
        "reasons": ["fewer than 50 callers in an arm, or 50 clicks"],
    }


async def test_only_one_judge_decides_and_another_takes_over(court: Court) -> None:
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    await court.minute(control=many(GOOD, 10))
    first, court.judge = court.judge, Judge(court.catalog, "w1", 60.0, clock=court.now)
    await court.minute(control=many(GOOD, 10))
    assert (await court.catalog.rollout(ROLLOUT.id)).figures["canary"]["arms"]["control"]["searches"] == 10
    court.seconds += 200
    await court.minute(control=many(GOOD, 10))
    assert (await court.catalog.rollout(ROLLOUT.id)).figures["canary"]["arms"]["control"]["searches"] == 30
    await first.look()
    assert (await court.catalog.rollout(ROLLOUT.id)).figures["canary"]["arms"]["control"]["searches"] == 30


async def test_each_version_judges_from_what_it_has_seen_itself(court: Court, tmp_path: Path) -> None:
    await court.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    stage = (await court.catalog.rollout(ROLLOUT.id)).changed_at_ms
    minutes = [ArmMinute(stage // 60_000 + n, "control", many(GOOD, 10), stage) for n in range(3)]
    await court.catalog.put_arm_minutes(ROLLOUT.id, "g1", minutes)
    with sqlite3.connect(tmp_path / "catalog.db") as before:
        before.execute("UPDATE rollout_minutes SET stage = NULL")
    totals = {"control": dict(many(GOOD, 10))}
    theirs = {"since_ms": stage, "minute": 7, "totals": totals, "window": {}, "slow_ms": None, "looks": 9}
    await court.catalog.note_rollout(ROLLOUT.id, "watch", theirs)
    for _ in range(2):
        await court.judge.look()
        rollout = await court.catalog.rollout(ROLLOUT.id)
        # The minute of the step had searches of before it.
        assert rollout.figures["canary"]["arms"] == {"control": {"searches": 20, "errors": 0}}
        assert rollout.figures["watch"] == theirs, "its own judge goes on with it"
        assert rollout.figures["watched"]["looks"] == 0
        assert not {"watch", "watched"} & rollout_document(rollout, CANDIDATE, LIVE)["figures"].keys()


async def test_there_is_nothing_to_judge_without_a_rollout(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "empty.db")
    await Judge(catalog, "w1", 60.0).look()
    await catalog.close()

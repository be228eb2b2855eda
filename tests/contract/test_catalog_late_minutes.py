"""The judge hears all that gateways count, each of it once: told late, in parts, by clocks that are off either way."""

import random
from collections import Counter

import pytest
from sqlalchemy import text

from omma.catalog.interface import Catalog
from omma.catalog.logged_interaction import LoggedInteraction
from omma.identity import ImageId
from omma.judging.tally import TRIPPED, Answer, ArmMinute, Tally, of_search, total
from omma.judging.watching import WATCH
from omma.records import Answered, Interaction, InteractionType
from omma.rollouts.rollout import Rollout, RolloutState
from omma.rollouts.walk import Step
from services.worker.judge import Judge
from tests.clock import Clock
from tests.contract.catalogs import ANN
from tests.contract.rollouts import CANDIDATE, OTHER, ROLLOUT, TOLD, with_live_index

GOOD, BAD = of_search(Answer([1], [0.9], 10.0)), of_search(None)
HOUR = 60


def many(counts: Tally, n: int) -> Tally:
    return total([counts] * n)


class Canary:
    """A rollout that a share of callers is answered from, gateways that tell of it, and its judge."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self.catalog, self.clock = catalog, clock
        self.judge = Judge(catalog, "w1", 60.0, clock=clock)
        self.stage = 0

    async def begin(self, share: float = 5.0) -> None:
        self.stage = (await self.catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, share)).changed_at_ms

    async def tell(self, follower: str, minutes_off: int = 0, **arms: Tally) -> None:
        """What it counted in the minute that it takes this one for."""
        at = int(self.clock() // 60) + minutes_off
        told = [ArmMinute(at, arm, counts, self.stage) for arm, counts in arms.items()]
        await self.catalog.put_arm_minutes(ROLLOUT.id, follower, told)

    async def look(self, judge: Judge | None = None) -> Rollout:
        await (judge or self.judge).look()
        self.clock.seconds += 60
        return await self.catalog.rollout(ROLLOUT.id)

    async def searches(self) -> dict[str, int]:
        arms = (await self.look()).figures["canary"]["arms"]
        return {arm: counts["searches"] for arm, counts in arms.items()}


@pytest.fixture
async def canary(catalog: Catalog, clock: Clock) -> Canary:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
    canary = Canary(catalog, clock)
    await canary.begin()
    return canary


@pytest.mark.parametrize("minutes_off", [-3 * HOUR, -HOUR, -2, 0, 2, HOUR, 3 * HOUR])
async def test_a_gateway_that_tripped_is_heard_whatever_its_clock_says_and_however_late(
    canary: Canary, minutes_off: int
) -> None:
    for _ in range(3):
        await canary.tell("g1", control=many(GOOD, 10))
        assert (await canary.look()).state is RolloutState.CANARY
    await canary.tell("late", minutes_off, candidate=many(BAD, 20) + Counter({TRIPPED: 1}))
    judged = await canary.look()
    assert judged.state is RolloutState.ROLLED_BACK
    assert "stopped asking the candidate" in judged.figures["verdict"]["reasons"][0]


@pytest.mark.parametrize("minutes_off", [-HOUR, -2, 2, HOUR])
async def test_harm_that_is_told_late_is_harm(canary: Canary, minutes_off: int) -> None:
    bad = many(GOOD, 40) + many(BAD, 20)
    await canary.tell("g1", control=many(GOOD, 900))
    await canary.look()
    await canary.tell("late", minutes_off, control=many(GOOD, 900), candidate=bad)
    assert (await canary.look()).state is RolloutState.CANARY, "one window"
    await canary.tell("late", minutes_off, control=many(GOOD, 900), candidate=bad)
    assert (await canary.look()).state is RolloutState.ROLLED_BACK


async def test_a_trip_in_the_minute_of_the_step_is_heard(canary: Canary) -> None:
    await canary.tell("g1", candidate=many(BAD, 20) + Counter({TRIPPED: 1}))
    assert (await canary.look()).state is RolloutState.ROLLED_BACK


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_judge_whose_clock_is_off_blinds_none_that_comes_after_it(
    canary: Canary, clock: Clock, hours: int
) -> None:
    off = Judge(canary.catalog, "w2", 60.0, clock=lambda: clock() + hours * 3_600)
    await canary.tell("g1", control=many(GOOD, 10))
    await canary.look(off)
    clock.seconds += 600
    await canary.tell("g1", control=many(GOOD, 10))
    assert await canary.searches() == {"control": 20}
    await canary.tell("g1", candidate=many(BAD, 20) + Counter({TRIPPED: 1}))
    assert (await canary.look()).state is RolloutState.ROLLED_BACK


async def test_what_was_counted_before_a_step_is_of_that_comparison_alone(canary: Canary, clock: Clock) -> None:
    before = canary.stage
    await canary.tell("g1", HOUR, control=many(GOOD, 10))
    clock.seconds += 5
    await canary.begin(20.0)
    assert canary.stage != before
    await canary.tell("g1", control=many(GOOD, 7))
    assert await canary.searches() == {"control": 7}


@pytest.mark.parametrize(("seed", "days"), [(1, 0), (2, 0), (3, 9)])
async def test_each_search_counts_once_however_it_is_told(canary: Canary, seed: int, days: int) -> None:
    """In parts, again, out of order, by gateways with clocks of their own (days behind, too), between any two looks."""
    draw, start = random.Random(seed), int(canary.clock() // 60) - days * 24 * HOUR
    wholes: dict[tuple[str, int], Tally] = {}
    for _ in range(60):
        follower = draw.choice(["a", "b", "c"])
        key = (follower, draw.randrange(-90, 90))
        wholes[key] = wholes.get(key, Counter()) + many(GOOD, draw.randrange(0, 9))
        if draw.random() < 0.7:
            minute = ArmMinute(start + key[1], "control", wholes[key], canary.stage)
            await canary.catalog.put_arm_minutes(ROLLOUT.id, follower, [minute])
        if draw.random() < 0.3:
            await canary.look()
    for (follower, at), counts in wholes.items():
        await canary.catalog.put_arm_minutes(
            ROLLOUT.id, follower, [ArmMinute(start + at, "control", counts, canary.stage)]
        )
    expected = {"control": sum(counts["searches"] for counts in wholes.values())}
    assert await canary.searches() == expected
    assert await canary.searches() == expected
    figures = (await canary.catalog.rollout(ROLLOUT.id)).figures[WATCH]
    assert figures["totals"]["control"] == dict(total(wholes.values()))


@pytest.mark.parametrize("over", [False, True])
async def test_what_no_judgement_needs_goes_whether_or_not_anything_runs(
    canary: Canary, clock: Clock, over: bool
) -> None:
    catalog = canary.catalog
    shown = Interaction(
        tenant=ANN,
        user_id="u",
        caller="user u",
        query_image_id=0,
        displayed=(ImageId(1),),
        rank=1,
        type=InteractionType.IMPRESSION,
        query_id="q1",
        ts_ms=int(clock() * 1000),
        answered=Answered("i", "s", "p", ROLLOUT.id, "control"),
    )
    await catalog.add_interactions("log", [LoggedInteraction(0, 0, shown)])
    await canary.tell("g1", control=many(GOOD, 10))
    await catalog.acknowledge_routing("g1", 1)
    if over:
        await catalog.move_rollout(ROLLOUT.id, Step.ROLLBACK, TOLD)
    tables = ("rollout_minutes", "rollout_searches", "routing_followers")

    async def rows() -> list[int]:
        async with catalog._database.reading() as connection:  # type: ignore[attr-defined]
            counts = [await connection.execute(text(f"SELECT count(*) FROM {name}")) for name in tables]
            return [int(one.scalar_one()) for one in counts]

    await canary.look()
    assert await rows() == [1, 1, 1]
    clock.seconds += 25 * 3_600
    await canary.look()
    assert await rows() == [1, 1, 0]
    clock.seconds += 49 * 3_600
    await canary.look()
    assert await rows() == [0, 0, 0]

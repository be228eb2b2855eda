"""What a rollout is judged by in the catalog, and decisions that only the lease's holder takes."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from omma.catalog.database import Database
from omma.catalog.interface import Catalog
from omma.catalog.judgement import Fence, Judgement
from omma.catalog.logged_interaction import LoggedInteraction
from omma.catalog.rollout import Told
from omma.catalog.schema.people import DAY_MS
from omma.catalog.schema.serving import rollout_searches
from omma.errors import Absent, WrongState
from omma.identity import ImageId
from omma.index import IndexState
from omma.judging.draft import Brought
from omma.judging.moments import Moments
from omma.judging.tally import ArmMinute
from omma.records import Answered, Interaction, InteractionType
from omma.rollouts.rollout import RolloutState
from omma.rollouts.walk import Step
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB
from tests.contract.rollouts import CANDIDATE, OTHER, ROLLOUT, TOLD, states, with_live_index

STAGE = 1_000
FENCE = Fence("judge", "worker 1")
BACK = Judgement(0, {"verdict": {"decision": "roll_back"}}, (), Step.ROLLBACK, Told("judge", "errors", {"n": 1}))


async def _in_canary(catalog: Catalog) -> Judgement:
    """Without anything judged."""
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
    return Judgement((await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)).changed_at_ms, {})


def _minute(minute: int, arm: str = "control", **counts: float) -> ArmMinute:
    return ArmMinute(minute, arm, Counter(counts), STAGE)  # type: ignore[arg-type]


async def _told(catalog: Catalog, rollout: str = "r", stage: int = STAGE, limit: int = 99) -> list[ArmMinute]:
    return [one.told for one in await catalog.arm_minutes(rollout, stage, limit)]


async def test_minutes_are_what_each_follower_said_last(catalog: Catalog, clock: Clock) -> None:
    await catalog.put_arm_minutes("r", "a", [_minute(5, searches=1), _minute(5, "candidate", searches=2, overlap=0.5)])
    await catalog.put_arm_minutes("r", "a", [_minute(5, searches=3), _minute(6, searches=1)])
    await catalog.put_arm_minutes("r", "b", [_minute(5, searches=7)])
    await catalog.put_arm_minutes("other", "b", [_minute(5, searches=7)])
    await catalog.put_arm_minutes("r", "b", [])
    said = [
        _minute(5, "candidate", searches=2, overlap=0.5),
        _minute(5, searches=3),
        _minute(5, searches=7),
        _minute(6, searches=1),
    ]
    assert await _told(catalog) == said
    assert await _told(catalog, limit=3) == said[:3], "the earliest"
    assert await _told(catalog, stage=STAGE + 1) == []
    clock.seconds += 60
    await catalog.put_arm_minutes("r", "a", [_minute(5, searches=3)])
    await catalog.drop_arm_minutes(30.0)
    assert await _told(catalog) == [_minute(5, searches=3)], "told of since, whatever minute it was"
    assert await _told(catalog, "other") == []


async def test_what_is_counted_is_no_news_and_what_is_said_later_is(catalog: Catalog) -> None:
    nothing = await _in_canary(catalog)
    await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)

    async def news() -> list[tuple[str, str, Counter[str]]]:
        found = await catalog.arm_minutes(ROLLOUT.id, STAGE, 99)
        return [(one.follower, one.news.arm, one.news.counts) for one in found]

    await catalog.put_arm_minutes(ROLLOUT.id, "a", [_minute(5, searches=3, shift=-0.25), _minute(5, "candidate", n=1)])
    read = await catalog.arm_minutes(ROLLOUT.id, STAGE, 99)
    await catalog.put_arm_minutes(ROLLOUT.id, "a", [_minute(5, searches=4, shift=-0.5)])
    await catalog.put_arm_minutes(ROLLOUT.id, "b", [_minute(4, searches=1)])
    await catalog.judge_rollout(ROLLOUT.id, FENCE, replace(nothing, minutes=read))
    wanted = [("b", "control", Counter(searches=1)), ("a", "control", Counter(searches=1, shift=-0.25))]
    assert await news() == wanted
    read = await catalog.arm_minutes(ROLLOUT.id, STAGE, 99)
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, replace(FENCE, holder="another"), replace(nothing, minutes=read))
    assert await news() == wanted, "what was not written was not counted"
    await catalog.judge_rollout(ROLLOUT.id, FENCE, replace(nothing, minutes=read))
    assert await news() == []
    await catalog.put_arm_minutes(ROLLOUT.id, "a", [_minute(5, searches=4, shift=-0.5)])
    assert await news() == [], "said again"


async def test_a_decision_is_the_lease_holders_whole(catalog: Catalog) -> None:
    nothing = await _in_canary(catalog)
    back = replace(BACK, stage=nothing.stage)
    before = await catalog.routing()
    with pytest.raises(WrongState) as refused:
        await catalog.judge_rollout(ROLLOUT.id, FENCE, back)
    assert refused.value.field == "lease"
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, replace(FENCE, holder="worker 2"), back)
    assert await catalog.routing() == before
    noted = await catalog.judge_rollout(ROLLOUT.id, FENCE, replace(nothing, figures={"canary": {"a": 1}}))
    assert (noted.state, noted.figures) == (RolloutState.CANARY, {"canary": {"a": 1}})
    moved = await catalog.judge_rollout(ROLLOUT.id, FENCE, back)
    assert moved.state is RolloutState.ROLLED_BACK
    assert moved.figures == {"canary": {"a": 1}, "verdict": {"decision": "roll_back"}}
    assert (await states(catalog))[CANDIDATE.id] is IndexState.SHADOW
    last = (await catalog.rollout_audit(ROLLOUT.id))[-1]
    assert (last.step, last.by, last.reason, last.figures) == ("rollback", "judge", "errors", {"n": 1})


async def test_a_decision_is_of_the_step_that_was_looked_at(catalog: Catalog, clock: Clock) -> None:
    back = replace(BACK, stage=(await _in_canary(catalog)).stage)
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    clock.seconds += 1
    moved = await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 1.0)
    with pytest.raises(WrongState) as refused:
        await catalog.judge_rollout(ROLLOUT.id, FENCE, back)
    assert refused.value.field == "stage", "another share is another comparison"
    assert await catalog.rollout(ROLLOUT.id) == moved
    again = await catalog.judge_rollout(ROLLOUT.id, FENCE, replace(back, stage=moved.changed_at_ms))
    assert again.state is RolloutState.ROLLED_BACK


async def test_a_judge_whose_lease_ran_out_decides_nothing(catalog: Catalog, clock: Clock) -> None:
    back = replace(BACK, stage=(await _in_canary(catalog)).stage)
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    clock.seconds += 61
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, FENCE, back)
    assert (await catalog.rollout(ROLLOUT.id)).state is RolloutState.CANARY


async def test_figures_of_a_step_that_is_refused_are_not_kept(catalog: Catalog) -> None:
    await with_live_index(catalog)
    begun = await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    back = replace(BACK, stage=begun.changed_at_ms)
    assert await catalog.acquire_lease(FENCE.lease, FENCE.holder, 60)
    with pytest.raises(WrongState):
        await catalog.judge_rollout(ROLLOUT.id, FENCE, back)
    assert (await catalog.rollout(ROLLOUT.id)).figures == {}
    with pytest.raises(Absent):
        await catalog.judge_rollout("none", FENCE, back)


async def test_of_nobody_there_are_no_moments(catalog: Catalog) -> None:
    assert await catalog.arm_moments("r", 0) == {}
    await catalog.remember_before("r", 0)
    assert await catalog.arm_moments("r", 0) == {}


def _interaction(offset: int, type: InteractionType, query_id: str, arm: str, **more: Any) -> LoggedInteraction:
    given: dict[str, Any] = {"tenant": ANN, "user_id": "u", "caller": "user u", "displayed": (ImageId(offset + 1),)}
    given["ts_ms"] = 1_700_000_000_000
    given["answered"] = Answered("i", "s", "p", ROLLOUT.id, arm) if arm else Answered()
    one = Interaction(query_image_id=0, rank=1, type=type, query_id=query_id, **{**given, **more})
    return LoggedInteraction(0, offset, one)


async def test_clicks_count_for_the_arm_of_their_search_by_caller_and_once_a_search(catalog: Catalog) -> None:
    await _in_canary(catalog)
    shown, clicked = InteractionType.IMPRESSION, InteractionType.CLICK
    bob: dict[str, Any] = {"user_id": "bob", "caller": "user bob"}
    first = [
        _interaction(0, clicked, "q1", ""),  # before its search, in one batch: the search is known all the same
        _interaction(1, shown, "q1", "control"),
        _interaction(2, shown, "q2", "control"),
        _interaction(3, shown, "q3", "candidate", **bob),
        _interaction(4, shown, "q4", "", answered=Answered("i", "s", "p")),
        _interaction(5, clicked, "", "", answered=Answered("i", "s", "p", ROLLOUT.id, "candidate")),
        _interaction(6, clicked, "q4", ""),
        _interaction(7, clicked, "unknown", ""),
        _interaction(8, clicked, "q2", "", tenant=BOB),
        _interaction(9, shown, "q5", "", answered=Answered("i", "s", "p", "no such rollout", "control")),
    ]
    assert await catalog.add_interactions("log", first) == 10
    second = [
        _interaction(10, clicked, "q1", ""),
        _interaction(11, clicked, "q3", "", **bob),
        _interaction(12, clicked, "q3", "", **bob),
        _interaction(13, shown, "q6", "candidate", **bob),
    ]
    assert await catalog.add_interactions("log", second) == 4
    assert await catalog.add_interactions("log", second) == 0
    stage = (await catalog.rollout(ROLLOUT.id)).changed_at_ms
    moments = await catalog.arm_moments(ROLLOUT.id, stage)
    expected = {"control": Moments.of([(1, 2, 0, 0)]), "candidate": Moments.of([(1, 2, 0, 0)])}
    assert {arm: one.gram.tolist() for arm, one in moments.items()} == {
        arm: one.gram.tolist() for arm, one in expected.items()
    }
    assert await catalog.arm_moments(ROLLOUT.id, stage + 1) == {}
    read = [one async for one in catalog.interactions(ANN, 0, 2**62)]
    arms = {one.displayed[0] - 1: (one.answered.arm, one.answered.index) for one in read}
    assert (arms[0], arms[10], arms[11]) == (("control", "i"), ("control", "i"), ("candidate", "i"))
    assert arms[6] == arms[7] == ("", "")


async def test_a_search_is_of_the_step_that_its_gateway_followed_however_late_it_is_recorded(
    catalog: Catalog, clock: Clock
) -> None:
    first = (await _in_canary(catalog)).stage
    clock.seconds += 60
    second = (await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 20.0)).changed_at_ms
    shown, clicked = InteractionType.IMPRESSION, InteractionType.CLICK
    late = [
        _interaction(0, shown, "q1", "control", stage=first),
        _interaction(1, shown, "q2", "candidate", stage=second),
        _interaction(2, shown, "q3", "control", caller="user of an older gateway"),
        _interaction(3, clicked, "q1", ""),
    ]
    await catalog.add_interactions("log", late)
    counted = [
        {arm: (int(one.asked), int(one.gained)) for arm, one in (await catalog.arm_moments(ROLLOUT.id, at)).items()}
        for at in (first, second)
    ]
    assert counted == [{"control": (1, 1)}, {"candidate": (1, 0), "control": (1, 0)}]


@pytest.mark.parametrize("arm", ["control", "interleaved"])
async def test_who_clicks_on_without_end_makes_no_row_grow(catalog: Catalog, arm: str) -> None:
    await _in_canary(catalog)
    page: dict[str, Any] = {"displayed": (ImageId(1), ImageId(2)), "brought": (Brought.CANDIDATE, Brought.CONTROL)}
    await catalog.add_interactions("log", [_interaction(0, InteractionType.IMPRESSION, "q1", arm, **page)])
    clicks = [_interaction(n, InteractionType.CLICK, "q1", "", displayed=(ImageId(n),)) for n in range(1, 500)]
    await catalog.add_interactions("log", clicks)
    database: Database = catalog._database  # type: ignore[attr-defined]
    async with database.reading() as connection:
        (kept,) = (await connection.execute(select(rollout_searches.c.clicked))).scalars()
    assert kept == ([1] if arm == "control" else [1, 2])


async def test_callers_of_steps_that_are_past_are_forgotten(catalog: Catalog, clock: Clock) -> None:
    await _in_canary(catalog)
    shown = InteractionType.IMPRESSION
    noon = int(clock.seconds * 1000)
    earlier = [_interaction(0, shown, "q0", "", ts_ms=noon - DAY_MS)]
    await catalog.add_interactions("log", [*earlier, _interaction(1, shown, "q1", "control")])
    await catalog.remember_before(ROLLOUT.id, (noon - DAY_MS) // DAY_MS)
    first = (await catalog.rollout(ROLLOUT.id)).changed_at_ms
    clock.seconds += 60
    await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 20.0)
    await catalog.add_interactions("log", [_interaction(2, shown, "q2", "control")])
    second = (await catalog.rollout(ROLLOUT.id)).changed_at_ms
    assert await catalog.forget_callers(0.0) == 1, "the step before"
    assert await catalog.arm_moments(ROLLOUT.id, first) == {}
    assert int((await catalog.arm_moments(ROLLOUT.id, second))["control"].callers) == 1
    clock.seconds += 100
    assert await catalog.forget_callers(60.0) == 0, "it runs"
    await catalog.move_rollout(ROLLOUT.id, Step.ROLLBACK, TOLD)
    assert await catalog.forget_callers(60.0) == 1, "of the step; what was before it stays, as it may go on"
    clock.seconds += 100
    assert await catalog.forget_callers(60.0) == 1, "it is over for long"
    assert await catalog.forget_callers(60.0) == 0


async def test_interleaved_clicks_are_credited_to_the_arm_that_brought_the_hit(catalog: Catalog) -> None:
    await _in_canary(catalog)
    shown, clicked = InteractionType.IMPRESSION, InteractionType.CLICK
    brought = (Brought.CANDIDATE, Brought.CONTROL, Brought.BOTH, Brought.CANDIDATE)
    page: dict[str, Any] = {"displayed": tuple(map(ImageId, (1, 2, 3, 4))), "brought": brought}
    assert await catalog.add_interactions(
        "log",
        [
            _interaction(0, shown, "q1", "interleaved", **page),
            _interaction(1, shown, "q2", "interleaved", **page),
            _interaction(2, clicked, "q1", "", displayed=(ImageId(1),)),
            _interaction(3, clicked, "q1", "", displayed=(ImageId(1),)),  # again: once a picture
            _interaction(4, clicked, "q1", "", displayed=(ImageId(3),)),  # of both: nobody's
            _interaction(5, clicked, "q1", "", displayed=(ImageId(99),)),  # never shown
        ],
    )
    later = [
        _interaction(6, clicked, "q1", "", displayed=(ImageId(1),)),
        _interaction(7, clicked, "q1", "", displayed=(ImageId(4),)),
        _interaction(8, clicked, "q2", "", displayed=(ImageId(2),)),
        _interaction(9, clicked, "", "", displayed=(ImageId(2),)),
    ]
    assert await catalog.add_interactions("log", later) == 4
    stage = (await catalog.rollout(ROLLOUT.id)).changed_at_ms
    moments = await catalog.arm_moments(ROLLOUT.id, stage)
    assert {arm: one.gram.tolist() for arm, one in moments.items()} == {
        "interleaved": Moments.of([(2 - 1, 3, 0, 0)]).gram.tolist()
    }


async def test_a_step_keeps_so_many_callers_and_who_comes_later_counts_for_no_arm(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omma.catalog.arm_clicks.MAX_CALLERS", 2)
    await _in_canary(catalog)
    shown, clicked = InteractionType.IMPRESSION, InteractionType.CLICK
    arms = {"ann": "control", "bob": "candidate", "dan": "candidate"}
    for at, (user, arm) in enumerate(arms.items()):
        await catalog.add_interactions("log", [_interaction(at, shown, f"q{at}", arm, caller=f"user {user}")])
    later = [_interaction(3 + at, clicked, f"q{at}", "", displayed=(ImageId(1),)) for at in range(3)]
    await catalog.add_interactions("log", later)
    moments = await catalog.arm_moments(ROLLOUT.id, (await catalog.rollout(ROLLOUT.id)).changed_at_ms)
    assert {arm: one.gram.tolist() for arm, one in moments.items()} == dict.fromkeys(
        ("control", "candidate"), Moments.of([(1, 1, 0, 0)]).gram.tolist()
    )


async def test_a_caller_that_never_rests_breaks_no_sum(catalog: Catalog) -> None:
    """50,000 searches squared are more than 32 bits."""
    await _in_canary(catalog)
    shown = InteractionType.IMPRESSION
    busy = [_interaction(n, shown, f"b{n}", "", caller="") for n in range(50_000)]
    for start in range(0, len(busy), 5_000):
        await catalog.add_interactions("log", busy[start : start + 5_000])
    await catalog.remember_before(ROLLOUT.id, 1_700_000_000_000 // DAY_MS)
    await catalog.add_interactions("log", [_interaction(50_000, shown, "q1", "control")])
    moments = await catalog.arm_moments(ROLLOUT.id, (await catalog.rollout(ROLLOUT.id)).changed_at_ms)
    assert moments["control"].gram[4, 4] == 50_000.0**2


async def test_what_users_did_before_a_rollout_is_beside_what_they_do_in_it(catalog: Catalog) -> None:
    await _in_canary(catalog)
    shown, clicked = InteractionType.IMPRESSION, InteractionType.CLICK
    before = [
        _interaction(0, shown, "b1", "", caller=""),
        _interaction(1, shown, "b2", "", caller=""),
        _interaction(2, clicked, "b1", "", caller=""),
        _interaction(3, shown, "b3", "", caller="", user_id=""),
    ]
    await catalog.add_interactions("log", before)
    day = 1_700_000_000_000 // DAY_MS
    for _ in range(2):
        await catalog.remember_before(ROLLOUT.id, day)
        await catalog.remember_before(ROLLOUT.id, day - 1)
    await catalog.add_interactions(
        "log", [_interaction(4, shown, "q1", "control"), _interaction(5, shown, "q2", "control", caller="user new")]
    )
    moments = await catalog.arm_moments(ROLLOUT.id, (await catalog.rollout(ROLLOUT.id)).changed_at_ms)
    assert moments["control"].gram.tolist() == Moments.of([(0, 1, 1, 2), (0, 1, 0, 0)]).gram.tolist()

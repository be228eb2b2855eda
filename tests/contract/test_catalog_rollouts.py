"""Rollouts in the catalog: each step whole or not at all, in one order, with its audit and its epoch."""

import asyncio
from dataclasses import replace

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureState
from omma.catalog.rollout import Told
from omma.errors import Absent, OmmaError, WrongSpace, WrongState
from omma.index import IndexId, IndexState
from omma.rollouts.rollout import Rollout, RolloutId, RolloutState
from omma.rollouts.settings import SearchSettings
from omma.rollouts.walk import Step
from omma.space import SpaceId
from tests.clock import Clock
from tests.contract.catalogs import SPACE, Backend, embedded, new, one
from tests.contract.rollouts import CANDIDATE, LIVE, OTHER, ROLLOUT, TOLD, states, with_live_index


async def test_the_whole_walk_is_told_by_states_epochs_and_audit(catalog: Catalog, clock: Clock) -> None:
    await with_live_index(catalog)
    epochs = [(await catalog.routing()).epoch]
    begun = await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    assert (begun.state, begun.created_at_ms) == (RolloutState.BUILDING, int(clock.seconds * 1000))
    walk = [Step.PAUSE, Step.RESUME, Step.SHADOW, Step.CANARY, Step.PROMOTE, Step.ROLLBACK, Step.PROMOTE, Step.RETIRE]
    for step in walk:
        epochs.append((await catalog.routing()).epoch)
        clock.seconds += 1
        moved = await catalog.move_rollout(ROLLOUT.id, step, Told("bob", step.value, {"n": 1}), 5.0)
    assert epochs == sorted(set(epochs)), "each step raises the epoch"
    assert (moved.state, moved.share) == (RolloutState.RETIRED, 5.0)
    assert await states(catalog) == {CANDIDATE.id: IndexState.LIVE, LIVE.id: IndexState.RETIRED}
    audit = await catalog.rollout_audit(ROLLOUT.id)
    assert [entry.step for entry in audit] == ["start", *walk]
    assert (audit[0].by, audit[-1].by, audit[-1].reason, audit[-1].figures) == ("ann", "bob", "retire", {"n": 1})
    assert (await catalog.routing()).running is None


async def test_steps_wait_in_order_until_the_log_has_them(backend: Backend) -> None:
    catalog = await backend.open()
    await with_live_index(catalog)
    assert await catalog.unsent_steps(10) == []
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    for step in (Step.SHADOW, Step.CANARY):
        await catalog.move_rollout(ROLLOUT.id, step, Told("judge", f"why {step}"), 5.0)
    waiting = await catalog.unsent_steps(10)
    assert await catalog.unsent_steps(2) == waiting[:2]
    audit = await catalog.rollout_audit(ROLLOUT.id)
    assert [(one.step, one.state, one.by, one.reason, one.share, one.at_ms) for one in waiting] == [
        (one.step, one.state, one.by, one.reason, one.share, one.at_ms) for one in audit
    ]
    assert {(one.rollout, one.candidate, one.control, one.model, one.name) for one in waiting} == {
        (ROLLOUT.id, CANDIDATE.id, LIVE.id, OTHER.model, "")
    }
    await catalog.mark_steps_sent(waiting[1].id)
    await catalog.mark_steps_sent(waiting[0].id)  # by another worker, late
    assert await (await backend.open()).unsent_steps(10) == waiting[2:]


async def test_routing_shows_the_one_that_runs(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 20.0)
    routing = await catalog.routing()
    assert routing.running is not None
    assert (routing.running.id, routing.running.share) == (ROLLOUT.id, 20.0)
    assert {index.id: index.state for index in routing.indexes} == {
        LIVE.id: IndexState.LIVE,
        CANDIDATE.id: IndexState.CANARY,
    }


async def test_a_step_that_is_not_allowed_changes_nothing_and_names_what_is(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    before = await catalog.routing()
    with pytest.raises(WrongState, match="allowed: pause, abort"):
        await catalog.move_rollout(ROLLOUT.id, Step.PROMOTE, TOLD)
    with pytest.raises(Absent):
        await catalog.move_rollout("none", Step.PROMOTE, TOLD)
    assert await catalog.routing() == before
    assert len(await catalog.rollout_audit(ROLLOUT.id)) == 1


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"rollout": {"control": IndexId("x")}}, WrongState, "control"),
        ({"index": {"id": LIVE.id}}, WrongState, "index"),
        ({"space": {"id": SPACE.id, "dim": 3}, "index": {"space": SPACE.id}}, WrongSpace, "space"),
    ],
)
async def test_what_cannot_begin_leaves_nothing(
    catalog: Catalog, change: dict[str, dict[str, object]], error: type[OmmaError], field: str
) -> None:
    await with_live_index(catalog)
    before = (await catalog.routing(), await catalog.spaces(), await catalog.rollouts())
    rollout = replace(ROLLOUT, **change.get("rollout", {}))
    index, space = replace(CANDIDATE, **change.get("index", {})), replace(OTHER, **change.get("space", {}))
    with pytest.raises(error) as raised:
        await catalog.start_rollout(rollout, space, index, TOLD)
    assert raised.value.field == field
    assert (await catalog.routing(), await catalog.spaces(), await catalog.rollouts()) == before


async def test_a_space_is_built_once_until_its_index_is_retired(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
    await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 1.0)
    await catalog.move_rollout(ROLLOUT.id, Step.ROLLBACK, TOLD)
    again = replace(ROLLOUT, id=RolloutId("r2"), candidate=IndexId(f"{OTHER.id}.2"))
    with pytest.raises(WrongState) as raised:
        await catalog.start_rollout(again, OTHER, replace(CANDIDATE, id=again.candidate), TOLD)
    assert raised.value.field == "model"
    await catalog.move_rollout(ROLLOUT.id, Step.RETIRE, TOLD)
    await catalog.start_rollout(again, OTHER, replace(CANDIDATE, id=again.candidate), TOLD)


async def test_of_two_that_begin_one_does_and_of_two_steps_each_sees_the_other(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    await with_live_index(catalogs[0])
    spaces = [replace(OTHER, id=SpaceId(f"other-{n}")) for n in range(4)]
    begun = await asyncio.gather(
        *(
            catalogs[n % 2].start_rollout(
                replace(ROLLOUT, id=RolloutId(f"r{n}"), candidate=IndexId(f"{space.id}.1")),
                space,
                replace(CANDIDATE, id=IndexId(f"{space.id}.1"), space=space.id),
                TOLD,
            )
            for n, space in enumerate(spaces)
        ),
        return_exceptions=True,
    )
    (rollout,) = [one for one in begun if not isinstance(one, BaseException)]
    assert [type(one) for one in begun if isinstance(one, BaseException)] == [WrongState] * 3
    for step in (Step.SHADOW, Step.CANARY):
        await catalogs[0].move_rollout(rollout.id, step, TOLD, 5.0)
    steps = [Step.PROMOTE, Step.ROLLBACK] * 4
    moving = (catalogs[n % 2].move_rollout(rollout.id, step, TOLD) for n, step in enumerate(steps))
    await asyncio.gather(*moving, return_exceptions=True)
    found = await states(catalogs[0])
    assert list(found.values()).count(IndexState.LIVE) == 1


async def test_figures_are_kept_by_name(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.note_rollout(ROLLOUT.id, "build", {"missing": 3})
    await catalog.note_rollout(ROLLOUT.id, "shadow", {"searches": 1})
    await catalog.note_rollout(ROLLOUT.id, "build", {"missing": 0})
    assert (await catalog.rollout(ROLLOUT.id)).figures == {"build": {"missing": 0}, "shadow": {"searches": 1}}
    with pytest.raises(Absent):
        await catalog.note_rollout("none", "build", {})


async def test_who_follows_the_routing_is_known_for_a_while(catalog: Catalog, clock: Clock) -> None:
    await catalog.acknowledge_routing("a", 1)
    clock.seconds += 5
    await catalog.acknowledge_routing("b", 2)
    await catalog.acknowledge_routing("b", 3)
    assert {name: seen.epoch for name, seen in (await catalog.acknowledged_routing(60)).items()} == {"a": 1, "b": 3}
    assert set(await catalog.acknowledged_routing(4)) == {"b"}
    assert await catalog.forget_followers(4) == 1
    assert set(await catalog.acknowledged_routing(60)) == {"b"}
    assert await catalog.forget_followers(4) == 0


async def test_a_candidates_faults_are_its_own_until_it_is_live(catalog: Catalog) -> None:
    await with_live_index(catalog)
    well, dies_in_other, dies_in_live, waits = [await one(catalog, new(str(n))) for n in range(4)]
    await embedded(catalog, well, dies_in_other)
    await catalog.record_dead(dies_in_live.id, dies_in_live.version, "cut off", SPACE.id)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    await catalog.record_dead(dies_in_other.id, dies_in_other.version, "not for me", OTHER.id)
    await embedded(catalog, well, dies_in_live, waits, space=OTHER.id)

    async def fates() -> list[PictureState]:
        rows = await catalog.pictures([well.id, dies_in_other.id, dies_in_live.id, waits.id])
        return [rows[answer.id].state for answer in (well, dies_in_other, dies_in_live, waits)]

    indexed, dead, pending = PictureState.INDEXED, PictureState.DEAD, PictureState.PENDING
    assert await fates() == [indexed, indexed, dead, pending]
    assert await catalog.dead_in(OTHER.id, [well.id, dies_in_other.id]) == {dies_in_other.id: dies_in_other.version}
    for step in (Step.SHADOW, Step.CANARY, Step.PROMOTE):
        await catalog.move_rollout(ROLLOUT.id, step, TOLD, 100.0)
    assert await fates() == [indexed, dead, indexed, indexed]
    assert (await catalog.pictures([dies_in_other.id]))[dies_in_other.id].reason == "not for me"
    await catalog.move_rollout(ROLLOUT.id, Step.ROLLBACK, TOLD)
    assert await fates() == [indexed, indexed, dead, indexed]
    while await catalog.forget_space(OTHER.id, 2) == 2:
        pass
    assert await catalog.dead_in(OTHER.id, [dies_in_other.id]) == {}


EXPERIMENT = Rollout(
    RolloutId("e1"),
    RolloutState.CANARY,
    LIVE.id,
    LIVE.id,
    "",
    share=50.0,
    name="diverse",
    settings=SearchSettings("diverse", 4),
)


async def test_an_experiment_moves_no_index_and_promoted_it_is_what_every_search_does(catalog: Catalog) -> None:
    await with_live_index(catalog)
    before = await catalog.routing()
    begun = await catalog.start_experiment(EXPERIMENT, TOLD)
    assert (begun.name, begun.settings, begun.share) == ("diverse", SearchSettings("diverse", 4), 50.0)
    routed = await catalog.routing()
    assert routed.running == begun and routed.defaults == SearchSettings() and routed.epoch > before.epoch
    with pytest.raises(WrongState) as refused:
        await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    assert refused.value.field == "rollout" and "Experiment diverse runs" in refused.value.detail
    for step in (Step.PAUSE, Step.RESUME, Step.SHADOW, Step.CANARY, Step.ABORT, Step.RETIRE):
        with pytest.raises(WrongState, match="An experiment that is canary cannot") as refused:
            await catalog.move_rollout(EXPERIMENT.id, step, TOLD, 5.0 if step is Step.CANARY else None)
        assert refused.value.field == "state" and "allowed: promote, rollback." in refused.value.detail
    assert await catalog.routing() == routed
    promoted = await catalog.move_rollout(EXPERIMENT.id, Step.PROMOTE, TOLD)
    assert promoted.state is RolloutState.PROMOTED
    assert (await catalog.routing()).defaults == SearchSettings("diverse", 4)
    assert (await catalog.routing()).indexes == before.indexes
    with pytest.raises(WrongState) as refused:
        await catalog.start_experiment(EXPERIMENT, TOLD)
    assert refused.value.field == "name"
    second = replace(EXPERIMENT, id=RolloutId("e2"), name="more", settings=SearchSettings(effort=9))
    await catalog.start_experiment(second, TOLD)
    with pytest.raises(WrongState):
        await catalog.move_rollout(EXPERIMENT.id, Step.ROLLBACK, TOLD)
    await catalog.move_rollout(second.id, Step.PROMOTE, TOLD)
    assert (await catalog.routing()).defaults == SearchSettings("diverse", 9)
    with pytest.raises(WrongState, match="Other settings are the defaults by now"):
        await catalog.move_rollout(EXPERIMENT.id, Step.ROLLBACK, TOLD)
    await catalog.move_rollout(second.id, Step.ROLLBACK, TOLD)
    await catalog.move_rollout(EXPERIMENT.id, Step.ROLLBACK, TOLD)
    assert (await catalog.routing()).defaults == SearchSettings()
    steps = [entry.step for entry in await catalog.rollout_audit(EXPERIMENT.id)]
    assert steps == ["start", "promote", "rollback"]


async def test_an_experiment_that_is_stopped_changes_nothing(catalog: Catalog) -> None:
    await with_live_index(catalog)
    await catalog.start_experiment(EXPERIMENT, TOLD)
    stopped = await catalog.move_rollout(EXPERIMENT.id, Step.ROLLBACK, TOLD)
    assert stopped.state is RolloutState.ROLLED_BACK
    routed = await catalog.routing()
    assert (routed.running, routed.defaults) == (None, SearchSettings())
    with pytest.raises(WrongState, match="nothing any more"):
        await catalog.move_rollout(EXPERIMENT.id, Step.PROMOTE, TOLD)


async def test_an_experiment_is_of_the_live_index(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    await catalog.register_index(replace(LIVE, state=IndexState.BUILDING))
    with pytest.raises(WrongState) as refused:
        await catalog.start_experiment(EXPERIMENT, TOLD)
    assert refused.value.field == "control"


async def test_what_was_looked_at_before_another_step_is_not_retired(catalog: Catalog, clock: Clock) -> None:
    """Gone back from, its candidate is what goes; live again, it would be what was live until now."""
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    for step in (Step.SHADOW, Step.CANARY, Step.PROMOTE, Step.ROLLBACK):
        clock.seconds += 1
        looked_at = await catalog.move_rollout(ROLLOUT.id, step, TOLD, 5.0)
    clock.seconds += 1
    promoted = await catalog.move_rollout(ROLLOUT.id, Step.PROMOTE, TOLD)
    with pytest.raises(WrongState) as refused:
        await catalog.move_rollout(ROLLOUT.id, Step.RETIRE, TOLD, stage=looked_at.changed_at_ms)
    assert refused.value.field == "stage"
    assert await catalog.rollout(ROLLOUT.id) == promoted
    retired = await catalog.move_rollout(ROLLOUT.id, Step.RETIRE, TOLD, stage=promoted.changed_at_ms)
    assert retired.state is RolloutState.RETIRED

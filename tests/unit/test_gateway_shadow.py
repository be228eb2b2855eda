"""A candidate in the shadow is asked after the answer; arms are counted; one that fails is asked no more."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.errors import ReplicaDown
from omma.identity import Tenant
from omma.index import Index, IndexId, IndexState
from omma.judging.tally import SHADOW, TRIPPED, ArmMinute, Tally, shadow_figures, total
from omma.rollouts.arms import Arm, arm_of
from omma.rollouts.gates import require_met, shadow_gates
from omma.rollouts.rollout import Rollout, RolloutId, RolloutState, Routing
from omma.space import Space, SpaceId
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtWords
from services.gateway.search.rollout.figures import ArmFigures
from services.gateway.search.rollout.shadow import Shadow
from services.topology.indexes import ServedIndex
from tests.unit.search_world import ANN, SPACE, BruteForceShard, SeedEmbedder, World, vector_of

OTHER = Space(SpaceId("n-1-11111111"), "n@1", "1" * 64, SPACE.dim)
CANDIDATE = Index(IndexId(f"{OTHER.id}.1"), OTHER.id, "Flat", 1, IndexState.BUILDING)
CONTROL = IndexId("m-1-00000000.1")
RUN = RolloutId("r1")


class OtherEmbedder(SeedEmbedder):
    space = OTHER


class OtherShard(BruteForceShard):
    async def search(self, query: Any, deadline: Any) -> Any:
        return replace(await super().search(query, deadline), index=CANDIDATE.id, space=OTHER.id)


class Minutes:
    """What a gateway told the catalog, the last of each minute and arm."""

    def __init__(self) -> None:
        self.told: dict[tuple[int, str], Tally] = {}
        self.stages: dict[int, int] = {}
        self.away = False

    async def put_arm_minutes(self, rollout_id: str, follower: str, minutes: Sequence[ArmMinute]) -> None:
        if self.away:
            raise ReplicaDown("The catalog does not answer.")
        assert rollout_id == RUN and follower.startswith("g1/")
        self.stages |= {one.minute: one.stage for one in minutes}
        self.told |= {(one.minute, one.arm): one.counts for one in minutes}

    def of(self, arm: str) -> Tally:
        return total(counts for (_, named), counts in self.told.items() if named == arm)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.seconds = 600.0
        self.busy = False
        self.minutes = Minutes()
        self.shard = OtherShard(CANDIDATE.id)
        for image_id in range(1, 41):
            self.shard.add(image_id, vector_of(image_id if image_id % 2 else 100 + image_id))
        self.world = World(Originals(FolderBlobs(folder)))
        indexes = self.world.indexes
        self.figures = ArmFigures(self.minutes, indexes, "g1", clock=lambda: self.seconds)  # type: ignore[arg-type]
        self.shadow = Shadow(indexes, self.figures, lambda: self.busy, sampled=0.5, at_once=2, draw=lambda: 0.25)
        self.world.core._arms, self.world.core._shadow = self.figures, self.shadow
        live = indexes.live()
        indexes.replace([live, ServedIndex(CANDIDATE, OTHER, ((self.shard,),), OtherEmbedder())])

    def route(self, state: RolloutState, share: float = 0.0, changed_at_ms: int = 1, run: RolloutId = RUN) -> None:
        indexes = (
            Index(CONTROL, SPACE.id, "Flat", 2, IndexState.LIVE),
            replace(CANDIDATE, state=IndexState(state.value)),
        )
        running = Rollout(run, state, CANDIDATE.id, CONTROL, "n@1", share=share, changed_at_ms=changed_at_ms)
        self.world.indexes.follow(Routing(self.world.indexes.epoch + 1, indexes, running))

    async def search(self, seed: int = 1, **options: Any) -> str:
        query = SearchQuery((SoughtPicture(str(seed).encode()),), **options)
        return (await self.world.core.search(ANN, query)).index

    async def shadowed(self) -> None:
        while self.shadow._aside._running:
            await asyncio.wait(self.shadow._aside._running)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_the_shadow_is_asked_after_the_answer_and_told_of_in_figures(scene: Scene) -> None:
    scene.route(RolloutState.SHADOW)
    for seed in range(1, 41):
        assert await scene.search(seed) == CONTROL
        await scene.shadowed()
    await scene.figures.flush()
    figures = shadow_figures(scene.minutes.of(SHADOW))
    assert (figures["searches"], figures["error_share"], figures["whole"]) == (40, 0, 1)
    assert 0.2 < figures["overlap_at_10"] < 0.9 and 0 < figures["rank_biased_overlap"] < 1
    assert figures["p95_ratio"] > 0 and {"resolve", "shards", "rerank"} <= set(figures["stage_ratio"])
    assert scene.minutes.of(Arm.CONTROL) == {}


async def test_a_slow_candidate_delays_nobody_and_what_does_not_fit_is_left_out(scene: Scene) -> None:
    scene.route(RolloutState.SHADOW)
    scene.shard.hangs = True
    for seed in range(1, 6):
        assert await scene.search(seed) == CONTROL
    assert len(scene.shadow._aside._running) == 2
    for task in scene.shadow._aside._running:
        task.cancel()
    await scene.shadowed()
    scene.shard.hangs = False
    scene.busy = True
    await scene.search()
    assert not scene.shadow._aside._running


async def test_a_failing_candidate_is_an_error_of_the_shadow_alone(scene: Scene) -> None:
    scene.route(RolloutState.SHADOW)
    scene.shard.fault = ReplicaDown("gone")
    assert await scene.search() == CONTROL
    await scene.shadowed()
    await scene.figures.flush()
    figures = shadow_figures(scene.minutes.of(SHADOW))
    assert (figures["searches"], figures["error_share"], figures["overlap_at_10"]) == (1, 1.0, None)
    assert [gate.met for gate in shadow_gates(figures)] == [False, False, False]


async def test_figures_of_500_good_searches_meet_the_gate(scene: Scene) -> None:
    scene.route(RolloutState.SHADOW)
    for _ in range(5):
        await scene.search()
        await scene.shadowed()
    await scene.figures.flush()
    counts = total([scene.minutes.of(SHADOW)] * 100)
    figures = {**shadow_figures(counts), "p95_ratio": 1.2}
    require_met(shadow_gates(figures))


async def test_neither_pages_nor_pinned_searches_are_shadowed(scene: Scene) -> None:
    scene.route(RolloutState.SHADOW)
    await scene.search(index=CANDIDATE.id)
    assert not scene.shadow._aside._running


async def test_each_arm_is_counted_a_caller_once_a_minute(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=50)
    callers = [f"u{n}" for n in range(30)]
    for user_id in callers * 3:
        await scene.search(user_id=user_id)
    await scene.figures.flush()
    for arm in (Arm.CONTROL, Arm.CANDIDATE):
        here = [one for one in callers if arm_of(RUN, ANN, f"user {one}", 50) is arm]
        assert scene.minutes.of(arm)["searches"] == len(here)
    scene.seconds += 60
    await scene.search(user_id="u1")
    await scene.figures.flush()
    assert sum(scene.minutes.of(arm)["searches"] for arm in (Arm.CONTROL, Arm.CANDIDATE)) == 31


async def test_what_the_catalog_was_not_told_it_is_told_later(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=100)
    scene.minutes.away = True
    await scene.search(user_id="a")
    await scene.figures.flush()
    scene.seconds += 60
    await scene.search(user_id="a")
    scene.minutes.away = False
    await scene.figures.flush()
    assert {minute for minute, _ in scene.minutes.told} == {10, 11}
    scene.minutes.told.clear()
    await scene.figures.flush()
    assert {minute for minute, _ in scene.minutes.told} == {11}


async def test_a_callers_own_mistake_is_no_arms_error(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=100)
    for n in range(60):
        with pytest.raises(Exception, match=r"too|long|characters"):
            await scene.world.core.search(ANN, SearchQuery((SoughtWords("a" * 3_000),), user_id=f"u{n}"))
    await scene.figures.flush()
    assert scene.minutes.of(Arm.CANDIDATE)["errors"] == 0


async def test_an_arm_that_fails_is_tripped_at_once_until_the_rollouts_next_step(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=100)
    scene.shard.fault = ReplicaDown("gone")
    failed = 0
    for n in range(40):
        try:
            await scene.search(user_id=f"u{n}")
        except ReplicaDown:
            failed += 1
    assert failed == 20, "from then on everybody is answered from the live index"
    await scene.figures.flush()
    counts = scene.minutes.of(Arm.CANDIDATE)
    assert (counts["errors"], counts[TRIPPED]) == (20, 1)
    scene.shard.fault = None
    assert await scene.search(user_id="u1") == CONTROL
    scene.route(RolloutState.CANARY, share=100, changed_at_ms=2)
    assert await scene.search(user_id="u1") == CANDIDATE.id


async def test_a_minute_is_of_one_step_and_a_trip_right_after_one_is_of_that(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=100, changed_at_ms=1)
    await scene.search(user_id="u1")
    scene.route(RolloutState.CANARY, share=100, changed_at_ms=2)
    scene.shard.fault = ReplicaDown("gone")
    for n in range(20):
        with pytest.raises(ReplicaDown):
            await scene.search(user_id=f"u{n}")
    await scene.figures.flush()
    assert scene.minutes.stages == {10: 1, 11: 2}
    assert scene.minutes.told[10, Arm.CANDIDATE]["searches"] == 1
    counts = scene.minutes.told[11, Arm.CANDIDATE]
    assert (counts["searches"], counts["errors"], counts[TRIPPED]) == (20, 20, 1)
    scene.seconds += 60
    await scene.figures.flush()
    scene.shard.fault = None
    scene.route(RolloutState.CANARY, share=100, changed_at_ms=3)
    await scene.search(user_id="u1")
    await scene.figures.flush()
    assert scene.minutes.stages == {10: 1, 11: 2, 12: 3}


async def test_a_page_of_a_rollout_that_is_over_takes_nothing_from_the_one_that_runs(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=100, run=RolloutId("r0"))
    query = SearchQuery((SoughtPicture(b"1"),), k=5, user_id="u1")
    first = await scene.world.core.search(ANN, query)
    scene.route(RolloutState.CANARY, share=100, changed_at_ms=2)
    scene.shard.fault = ReplicaDown("gone")
    for n in range(20):
        with pytest.raises(ReplicaDown):
            await scene.search(user_id=f"u{n}")
        with pytest.raises(ReplicaDown):
            await scene.world.core.search(ANN, replace(query, cursor=first.next_cursor))
    await scene.figures.flush()
    counts = scene.minutes.of(Arm.CANDIDATE)
    assert (counts["searches"], counts["errors"], counts[TRIPPED]) == (20, 20, 1)


class Shown:
    """What the log is told of searches: of which step they are."""

    def __init__(self) -> None:
        self.stages: list[int] = []

    def shown(self, tenant: Tenant, user_id: str, image_id: int, answer: SearchAnswer, *, stage: int, **_: str) -> None:
        self.stages.append(stage)


async def test_what_was_shown_is_of_the_step_that_is_followed(scene: Scene) -> None:
    scene.world.core._impressions = shown = Shown()  # type: ignore[assignment]
    for step in (1, 2):
        scene.route(RolloutState.CANARY, share=100, changed_at_ms=step)
        await scene.search()
    scene.route(RolloutState.SHADOW, changed_at_ms=3)
    await scene.search()
    assert shown.stages == [1, 2, 0]


async def test_a_clock_that_is_set_back_takes_no_minute_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = 6_000.0
    monkeypatch.setattr("time.time", lambda: wall)
    figures = ArmFigures(scene.minutes, scene.world.indexes, "g1")  # type: ignore[arg-type]
    scene.world.core._arms = figures
    scene.route(RolloutState.CANARY, share=100)
    await scene.search(user_id="u1")
    await figures.flush()
    wall -= 3_600
    await scene.search(user_id="u2")
    await figures.flush()
    assert [counts["searches"] for counts in scene.minutes.told.values()] == [2]


async def test_trouble_of_both_arms_trips_neither(scene: Scene) -> None:
    scene.route(RolloutState.CANARY, share=50)
    scene.shard.fault = ReplicaDown("gone")
    for shard in scene.world.shards:
        shard.fault = ReplicaDown("gone")
    for n in range(200):
        with pytest.raises(ReplicaDown):
            await scene.search(user_id=f"u{n}")
    assert scene.world.indexes._tripped is None

"""Live searches are repeated exactly, a sample of them, and what they missed is told: as a metric and by arm."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.drift import Drift
from omma.errors import ReplicaDown
from omma.identity import Tenant
from omma.index import Index, IndexId, IndexState
from omma.judging.tally import Answer
from omma.rollouts.arms import Arm, Variant
from omma.rollouts.rollout import Rollout, RolloutId, RolloutState, Routing
from omma.rollouts.settings import SearchSettings
from omma.telemetry.metrics import RECALL_AT_10, REPEATED
from services.gateway.rollouts.fitness import Fitness, worst
from services.gateway.search.query import SearchQuery, SoughtPicture
from services.gateway.search.recall import Recall
from services.nn_shard.client import ShardStats
from tests.unit.search_world import ANN, SPACE, BruteForceShard, World

LIVE = IndexId("m-1-00000000.1")


class Forgetful(BruteForceShard):
    """Unless it is asked exactly, it misses every picture whose id is a multiple of four."""

    async def search(self, query: Any, deadline: Any) -> Any:
        found = await super().search(query, deadline)
        if query.exact:
            return found
        kept = np.flatnonzero(found.hits.ids % 4 != 0)
        return type(found)(found.hits.take(kept), found.index, found.space, found.live)


class Counted:
    def __init__(self) -> None:
        self.recalls: list[tuple[Arm, float]] = []

    def searched(self, variant: Variant, tenant: Tenant, caller: str, answer: Answer | None) -> None: ...

    def repeated(self, variant: Variant, recall: float) -> None:
        self.recalls.append((variant.arm, recall))


class Scene:
    def __init__(self, folder: Path, sampled: float = 1.0) -> None:
        self.counted = Counted()
        self.busy = False
        self.recall = Recall(self.counted, lambda: self.busy, sampled=sampled, draw=lambda: 0.5)  # type: ignore[arg-type]
        self.world = World(Originals(FolderBlobs(folder)), recall=self.recall, arms=self.counted)
        for at, shard in enumerate(self.world.shards):
            forgetful = Forgetful()
            forgetful.pictures = shard.pictures
            self.world.shards[at] = forgetful
        served = self.world.indexes.live()
        replicas = tuple((shard,) for shard in self.world.shards)
        self.world.indexes.replace([type(served)(served.index, served.space, replicas, served.embedder)])

    async def asked(self, **options: Any) -> None:
        await self.world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), timeout_ms=60_000, **options))
        while running := self.recall._aside._running:
            await asyncio.wait(running)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_what_a_usual_search_misses_is_its_recall(scene: Scene) -> None:
    await scene.asked()
    exact = sorted(range(1, 41), key=lambda id: -float(_score(scene.world, id)))[:10]
    share = sum(id % 4 != 0 for id in exact) / 10
    assert share < 1
    assert scene.recall.at_10(LIVE) == pytest.approx(share)
    assert RECALL_AT_10.labels(LIVE)._value.get() == pytest.approx(share)
    assert scene.recall.at_10("another") is None


async def test_an_index_that_is_retired_is_told_of_no_more(scene: Scene) -> None:
    await scene.asked()
    scene.world.indexes.follow(Routing(1, (Index(LIVE, SPACE.id, "Flat", 2, IndexState.RETIRED),)))
    assert scene.recall.at_10(LIVE) is None
    assert LIVE not in {sample.labels["index"] for metric in RECALL_AT_10.collect() for sample in metric.samples}


def _score(world: World, id: int) -> float:
    picture = world.owner(id).pictures[id]
    query = world.embedder._one(type("I", (), {"content": b"1"})()).vectors[0]  # type: ignore[arg-type]
    return float(picture.vectors[0].astype(np.float32) @ query)


async def test_an_arms_recall_is_counted_for_the_judge(scene: Scene) -> None:
    experiment = Rollout(
        RolloutId("e1"), RolloutState.CANARY, LIVE, LIVE, "", share=100.0, settings=SearchSettings("diverse")
    )
    index = Index(LIVE, SPACE.id, "Flat", 2, IndexState.LIVE)
    scene.world.indexes.follow(Routing(1, (index,), experiment))
    await scene.asked()
    assert [arm for arm, _ in scene.counted.recalls] == [Arm.CANDIDATE]
    assert scene.counted.recalls[0][1] == scene.recall.at_10(LIVE)


async def test_what_needs_no_measuring_or_may_not_wait_is_not_repeated(scene: Scene, tmp_path: Path) -> None:
    before = {outcome: REPEATED.labels(outcome)._value.get() for outcome in ("asked", "failed", "dropped")}

    def counted() -> Counter[str]:
        return Counter({one: int(REPEATED.labels(one)._value.get() - before[one]) for one in before})

    await scene.asked(exact=True)
    assert counted() == Counter()
    scene.busy = True
    await scene.asked()
    assert counted() == {"asked": 0, "failed": 0, "dropped": 1}
    seldom = Scene(tmp_path, sampled=0.5)
    await seldom.asked()
    assert seldom.recall.at_10(LIVE) is None


async def test_a_shard_that_is_away_measures_nothing(scene: Scene) -> None:
    scene.world.shards[0].fault = ReplicaDown("gone")
    await scene.asked()
    assert scene.recall.at_10(LIVE) is None


async def test_an_index_is_as_fit_as_the_worst_of_its_shards(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    drifts = [Drift(1_000, 1.2, 0.1, 0.99, ""), Drift(1_000, 1.5, 0.2, 0.9, "outgrown")]
    said = iter(drifts)

    async def stats(self: BruteForceShard, deadline: object) -> ShardStats:
        return ShardStats("i", "s", 0, 2, 1, 1, 0, 0, 0, "ab", (), 0, True, drift=next(said))

    monkeypatch.setattr(BruteForceShard, "stats", stats)
    fitness = Fitness(scene.world.indexes, scene.recall.at_10)
    told = await fitness.of(LIVE)
    assert told["recall_at_10"] is None
    assert told["drift"] == {
        "train_rows": 1_000,
        "list_imbalance": 1.5,
        "quantisation_error": 0.2,
        "recent_fit": 0.9,
        "rebuild": "outgrown",
    }
    assert await fitness.of("nowhere") == {"recall_at_10": None, "drift": None}
    assert worst([]) is None

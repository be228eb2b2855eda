"""A candidate on what people judged: a bad one is refused by the gate, an equal one is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.catalog.interface import Catalog
from omma.errors import InvalidQuery, OutOfTime, WrongState
from omma.evaluation.metrics import measure
from omma.index import Index, IndexId, IndexState
from omma.judging.relevance import LEAST_QUERIES, ndcg_at_10, relevance_figures
from omma.rollouts.asked import JudgmentsRequest
from omma.rollouts.gates import require_met, share_gates
from omma.rollouts.rollout import Rollout, RolloutId, RolloutState, Routing
from omma.vectors import Float32, normalise
from services.gateway.rollouts.relevance import Relevance, queries_of
from services.topology.indexes import ServedIndex
from tests.unit.search_world import ANN, DIM, SPACE, BruteForceShard, World, vector_of

CONTROL, CANDIDATE = IndexId("m-1-00000000.1"), IndexId("other.1")
LABELS = {id: f"label {id % 4}" for id in range(1, 41)}
RUN = Rollout(RolloutId("r1"), RolloutState.SHADOW, CANDIDATE, CONTROL, "m@1")


class Book:
    """Of the catalog what Relevance asks."""

    def __init__(self) -> None:
        self.kept = RUN

    async def note_rollout(self, rollout_id: str, part: str, figures: dict[str, Any]) -> None:
        self.kept = replace(self.kept, figures={**self.kept.figures, part: figures})

    async def rollout(self, rollout_id: str) -> Rollout:
        return self.kept


class OtherShard(BruteForceShard):
    """search_seconds: that each search takes of a clock that the test has."""

    search_seconds = 0.0
    clock_seconds = 0.0

    async def search(self, query: Any, deadline: Any) -> Any:
        OtherShard.clock_seconds += self.search_seconds
        return replace(await super().search(query, deadline), index=CANDIDATE)


def good_vector(id: int) -> Float32:
    """Near to its label's others."""
    return normalise(vector_of(1_000 + id % 4) + 0.1 * vector_of(id))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(Originals(FolderBlobs(tmp_path)))
    for id in LABELS:
        world.owner(id).add(id, good_vector(id))
    return world


def beside(world: World, vector: Any) -> None:
    """The candidate holds the same pictures, by these vectors."""
    shard = OtherShard(CANDIDATE)
    for id in LABELS:
        shard.add(id, vector(id))
    index = Index(CANDIDATE, SPACE.id, "Flat", 1, IndexState.SHADOW)
    live = world.indexes.live()
    world.indexes.replace([live, ServedIndex(index, SPACE, ((shard,),), world.embedder)])
    world.indexes.follow(Routing(1, (live.index, index), RUN))


def random_head(id: int) -> Float32:
    return vector_of(5_000 + id)


async def judged(world: World, **request: Any) -> dict[str, Any]:
    relevance = Relevance(cast(Catalog, Book()), world.core, lambda: OtherShard.clock_seconds)
    found = await relevance.judge(RUN, ANN, JudgmentsRequest(**request).checked())
    return {"shadow": {"searches": 500, "error_share": 0.0, "p95_ratio": 1.0}, **found.figures}


async def test_a_random_head_is_refused_and_an_equal_model_is_not(world: World) -> None:
    beside(world, random_head)
    figures = await judged(world, labels=LABELS)
    assert figures["judged"]["queries"] == 40
    assert figures["judged"]["ndcg_at_10"]["control"] == 1.0
    assert figures["judged"]["ndcg_loss"] > 0.4
    with pytest.raises(WrongState, match="ndcg_loss_upper"):
        require_met(share_gates(figures))
    beside(world, good_vector)
    figures = await judged(world, labels=LABELS)
    assert figures["judged"]["ndcg_loss_upper"] == 0
    require_met(share_gates(figures))


async def test_a_picture_that_the_candidate_lacks_is_a_query_that_it_fails(world: World) -> None:
    beside(world, good_vector)
    placed = world.indexes.placed(CANDIDATE)
    assert placed is not None
    for id in range(1, 21):
        del placed.shards[0][0].pictures[id]  # type: ignore[attr-defined]
    figures = await judged(world, labels=LABELS)
    assert figures["judged"]["queries"] == 40
    assert figures["judged"]["ndcg_loss"] >= 0.5


async def test_on_a_busy_machine_fewer_are_asked_and_the_interval_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside(world, random_head)
    whole = (await judged(world, labels=LABELS))["judged"]
    monkeypatch.setattr(OtherShard, "search_seconds", 0.45)
    some = (await judged(world, labels=LABELS))["judged"]
    assert LEAST_QUERIES <= some["queries"] < whole["queries"]
    assert some["ndcg_loss"] == pytest.approx(whole["ndcg_loss"], abs=0.1)
    assert some["ndcg_loss_upper"] - some["ndcg_loss"] > whole["ndcg_loss_upper"] - whole["ndcg_loss"]
    monkeypatch.setattr(OtherShard, "search_seconds", 1.0)
    with pytest.raises(OutOfTime, match="30 are needed"):
        await judged(world, labels=LABELS)


async def test_too_few_or_none_are_refused(world: World) -> None:
    beside(world, good_vector)
    with pytest.raises(InvalidQuery) as raised:
        await judged(world, labels={**dict.fromkeys(range(1, 12), "a"), **dict.fromkeys(range(500, 600), "b")})
    assert (raised.value.field, raised.value.limit) == ("labels", LEAST_QUERIES)
    with pytest.raises(InvalidQuery):
        await judged(world)
    with pytest.raises(InvalidQuery):
        await judged(world, labels={1: "a"}, grades={1: {2: 5}})
    for one in (RolloutState.BUILDING, RolloutState.PAUSED, RolloutState.ABORTED, RolloutState.RETIRED):
        with pytest.raises(WrongState):
            relevance = Relevance(cast(Catalog, Book()), world.core)
            await relevance.judge(replace(RUN, state=one), ANN, JudgmentsRequest(labels=LABELS))


def test_queries_are_those_with_something_to_find() -> None:
    graded = queries_of(JudgmentsRequest(grades={1: {1: 5, 2: 0}, 2: {1: 3, 2: 5}}))
    assert [(one.image_id, dict(one.grades)) for one in graded] == [(2, {1: 3})]
    labelled = queries_of(JudgmentsRequest(labels={1: "a", 2: "a", 3: "b"}))
    assert [(one.image_id, dict(one.grades)) for one in labelled] == [(1, {2: 1}), (2, {1: 1})]


def test_ndcg_is_the_evaluations() -> None:
    rng = np.random.default_rng(3)
    corpus = normalise(rng.normal(size=(30, DIM)).astype(np.float32))
    queries = normalise(rng.normal(size=(8, DIM)).astype(np.float32))
    grades = rng.integers(0, 6, (8, 30)).astype(np.uint8)
    expected = measure(queries, corpus, lambda part: grades[part], k=10).ndcg
    order = np.argsort(-(queries @ corpus.T), axis=1)
    for at in range(8):
        of = {id: int(grade) for id, grade in enumerate(grades[at])}
        assert ndcg_at_10(order[at].tolist(), of) == pytest.approx(expected[at], abs=1e-6)


def test_a_loss_of_few_queries_has_no_bound() -> None:
    few = relevance_figures([1.0] * 5, [0.5] * 5)
    assert (few["ndcg_loss"], few["ndcg_loss_upper"]) == (0.5, None)

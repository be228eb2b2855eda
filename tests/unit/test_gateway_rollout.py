"""A search finds its arm: pins, cursors and vectors first, then the caller's draw."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.errors import Absent, CursorExpired, InvalidQuery, WrongSpace
from omma.index import Index, IndexId, IndexState
from omma.rollouts.arms import Arm, arm_of
from omma.rollouts.rollout import Rollout, RolloutId, RolloutState, Routing
from omma.space import Space, SpaceId
from omma.telemetry.metrics import REPLICAS_PASSED_OVER
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtVector
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


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(Originals(FolderBlobs(tmp_path)))
    shard = OtherShard(CANDIDATE.id)
    for image_id in range(1, 41):
        shard.add(image_id, vector_of(image_id))
    live = world.indexes.live()
    world.indexes.replace([live, ServedIndex(CANDIDATE, OTHER, ((shard,),), OtherEmbedder())])
    return world


def route(world: World, candidate: IndexState, control: IndexState, share: float | None = None) -> None:
    indexes = (
        Index(CONTROL, SPACE.id, "Flat", 2, control),
        replace(CANDIDATE, state=candidate),
        Index(IndexId("gone.1"), SPACE.id, "Flat", 1, IndexState.RETIRED),
    )
    running = None
    if share is not None:
        running = Rollout(RUN, RolloutState.CANARY, CANDIDATE.id, CONTROL, "n@1", share=share)
    world.indexes.follow(Routing(world.indexes.epoch + 1, indexes, running))


def canary(world: World, share: float) -> None:
    route(world, IndexState.CANARY, IndexState.LIVE, share)


async def asked(world: World, content: bytes = b"1", **options: Any) -> SearchAnswer:
    return await world.core.search(ANN, SearchQuery((SoughtPicture(content),), **options))


async def test_a_caller_stays_on_its_side_and_the_answer_says_which(world: World) -> None:
    canary(world, 50)
    for n in range(20):
        answer = await asked(world, user_id=f"u{n}")
        arm = arm_of(RUN, ANN, f"user u{n}", 50)
        assert answer.variant is not None
        assert (answer.variant.rollout, answer.variant.arm) == (RUN, arm)
        of_candidate = arm is Arm.CANDIDATE
        assert (answer.index, answer.space) == ((CANDIDATE.id, OTHER.id) if of_candidate else (CONTROL, SPACE.id))
        again = await asked(world, content=b"2", user_id=f"u{n}", session=f"s{n}")
        assert again.variant == answer.variant


@pytest.mark.parametrize(("one", "other"), [({"session": "s"}, {"session": "s"}), ({}, {})])
async def test_without_a_user_the_session_counts_else_the_query(
    world: World, one: dict[str, str], other: dict[str, str]
) -> None:
    canary(world, 50)
    contents = (b"1", b"2") if one else (b"1", b"1")
    assert (await asked(world, contents[0], **one)).variant == (await asked(world, contents[1], **other)).variant
    sides = {(await asked(world, str(n).encode())).variant for n in range(1, 30)}
    assert len(sides) == 2, "one backend's key is not one person"


async def test_a_pin_is_never_moved_and_never_counted(world: World) -> None:
    canary(world, 100)
    pinned = await asked(world, index=CONTROL)
    assert (pinned.index, pinned.variant) == (CONTROL, None)
    with pytest.raises(Absent):
        await asked(world, index="gone.1")


async def test_pages_stay_where_they_began_through_promotion_and_rollback(world: World) -> None:
    canary(world, 100)
    first = await asked(world, k=5)
    assert first.index == CANDIDATE.id
    shown = {hit.id for hit in first.hits}
    for states in ((IndexState.LIVE, IndexState.STANDBY), (IndexState.STANDBY, IndexState.LIVE)):
        route(world, *states)
        page = await asked(world, k=5, cursor=first.next_cursor)
        assert (page.index, page.variant) == (CANDIDATE.id, first.variant)
        assert shown.isdisjoint(hit.id for hit in page.hits)
    route(world, IndexState.RETIRED, IndexState.LIVE)
    with pytest.raises(CursorExpired) as raised:
        await asked(world, k=5, cursor=first.next_cursor)
    assert raised.value.field == "cursor"


async def test_a_cursor_and_another_pin_contradict_each_other(world: World) -> None:
    first = await asked(world, k=5)
    with pytest.raises(InvalidQuery) as raised:
        await asked(world, k=5, cursor=first.next_cursor, index=CANDIDATE.id)
    assert raised.value.field == "cursor"


async def test_a_vector_is_answered_in_its_own_space_or_refused(world: World) -> None:
    canary(world, 100)

    async def sought(space: str) -> SearchAnswer:
        return await world.core.search(ANN, SearchQuery((SoughtVector(vector_of(3), space),), k=5))

    control = await sought(SPACE.id)
    assert (control.space, control.variant) == (SPACE.id, None)
    assert (await sought(OTHER.id)).space == OTHER.id
    route(world, IndexState.LIVE, IndexState.STANDBY)
    assert (await sought(SPACE.id)).index == CONTROL, "an old client's vectors find the standby"
    with pytest.raises(WrongSpace):
        await sought("nobody's")


async def test_a_gateway_without_the_candidates_place_answers_from_the_live_index(world: World) -> None:
    world.indexes.replace([world.indexes.live()])
    canary(world, 100)
    answer = await asked(world)
    assert (answer.index, answer.variant) == (CONTROL, None)
    assert world.indexes.misplaced() == (CANDIDATE.id,)


async def test_a_retired_index_is_gone_for_who_pins_it_before_its_shards_have_ended(world: World) -> None:
    route(world, IndexState.RETIRED, IndexState.LIVE)
    with pytest.raises(Absent, match="there are") as refused:
        world.indexes.pinned(CANDIDATE.id)
    assert CANDIDATE.id not in refused.value.detail.split("there are")[1]


def told_of() -> set[tuple[str, str]]:
    """Shards and why, of the candidate."""
    samples = [sample.labels for metric in REPLICAS_PASSED_OVER.collect() for sample in metric.samples]
    return {(one["shard"], one["why"]) for one in samples if one["index"] == CANDIDATE.id}


@pytest.mark.parametrize("ending", ["retired", "without a place"])
async def test_an_index_that_answers_no_more_is_told_of_no_more(world: World, ending: str) -> None:
    canary(world, 100)
    assert (await asked(world)).index == CANDIDATE.id
    assert told_of() == {("0", "ejected"), ("0", "stale")}
    if ending == "retired":
        route(world, IndexState.RETIRED, IndexState.LIVE)
    else:
        world.indexes.replace([world.indexes.live()])
    assert told_of() == set()


async def test_promotion_is_followed_between_two_searches(world: World) -> None:
    canary(world, 1)
    route(world, IndexState.LIVE, IndexState.STANDBY)
    promoted = await asked(world)
    assert (promoted.index, promoted.variant) == (CANDIDATE.id, None)
    assert world.indexes.live_space() == OTHER.id

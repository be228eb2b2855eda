"""Two indexes asked side by side: one page, each hit with the arm that brought it; if one fails the other answers."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.errors import CursorExpired, ReplicaDown
from omma.hits import Degraded
from omma.identity import Tenant
from omma.index import Index, IndexId, IndexState
from omma.judging.draft import Brought
from omma.judging.tally import Answer
from omma.rollouts.arms import Arm, Variant
from omma.rollouts.rollout import Mode, Rollout, RolloutId, RolloutState, Routing
from omma.space import Space, SpaceId
from omma.vectors import normalise
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.gateway.grpc.wire import answer_to_wire
from services.gateway.rest.answers import search_document
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtVector
from services.rerank.client import NearDuplicates
from services.topology.indexes import ServedIndex
from tests.unit.search_world import ANN, SPACE, BruteForceShard, SeedEmbedder, World, vector_of

OTHER = Space(SpaceId("n-1-11111111"), "n@1", "1" * 64, SPACE.dim)
CANDIDATE = Index(IndexId(f"{OTHER.id}.1"), OTHER.id, "Flat", 1, IndexState.CANARY)
CONTROL = Index(IndexId("m-1-00000000.1"), SPACE.id, "Flat", 2, IndexState.LIVE)
RUN = RolloutId("r1")


class OtherEmbedder(SeedEmbedder):
    """Its vectors are the others' turned round: what is first there is somewhere else here."""

    space = OTHER

    def _one(self, item: ImageItem | TextItem) -> EmbeddedItem:
        one = super()._one(item)
        return replace(one, vectors=np.roll(one.vectors, 5, axis=1))


class OtherShard(BruteForceShard):
    async def search(self, query: Any, deadline: Any) -> Any:
        return replace(await super().search(query, deadline), index=CANDIDATE.id, space=OTHER.id)


class Counted:
    """Stands for ArmFigures: what it was told."""

    def __init__(self) -> None:
        self.searched_arms: Counter[tuple[str, bool]] = Counter()

    def searched(self, variant: Variant, tenant: Tenant, caller: str, answer: Answer | None) -> None:
        self.searched_arms[variant.arm, answer is not None] += 1


@pytest.fixture
def other_shard() -> OtherShard:
    shard = OtherShard(CANDIDATE.id)
    for image_id in range(1, 41):
        shard.add(image_id, np.roll(vector_of(100 + image_id), 5))
    return shard


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def world(tmp_path: Path, other_shard: OtherShard, counted: Counted) -> World:
    world = World(Originals(FolderBlobs(tmp_path)), arms=counted)
    live = world.indexes.live()
    world.indexes.replace([live, ServedIndex(CANDIDATE, OTHER, ((other_shard,),), OtherEmbedder())])
    interleave(world)
    return world


def interleave(world: World, share: float = 100, candidate: IndexState = IndexState.CANARY) -> None:
    running = Rollout(RUN, RolloutState.CANARY, CANDIDATE.id, CONTROL.id, "n@1", Mode.INTERLEAVE, share)
    indexes = (CONTROL, replace(CANDIDATE, state=candidate))
    world.indexes.follow(Routing(world.indexes.epoch + 1, indexes, running))


async def asked(world: World, content: bytes = b"1", **options: Any) -> SearchAnswer:
    return await world.core.search(ANN, SearchQuery((SoughtPicture(content),), timeout_ms=60_000, **options))


async def alone(world: World, index: str, **options: Any) -> list[int]:
    return [hit.id for hit in (await asked(world, index=index, **options)).hits]


async def test_a_page_is_drafted_from_both_arms(world: World) -> None:
    page = await asked(world, k=10)
    assert page.variant == Variant(RUN, Arm.INTERLEAVED)
    assert (page.index, page.space) == (CONTROL.id, SPACE.id)
    of = {
        Brought.CONTROL: await alone(world, CONTROL.id, k=10),
        Brought.CANDIDATE: await alone(world, CANDIDATE.id, k=10),
    }
    ids = [hit.id for hit in page.hits]
    assert len(ids) == len(set(ids)) == 10
    for hit in page.hits:
        assert hit.origin is not None
        brought = {arm for arm, ranked in of.items() if hit.id in ranked}
        assert hit.origin.arm is (Brought.BOTH if len(brought) == 2 else brought.pop())
        assert (hit.origin.index, hit.origin.space) in ((CONTROL.id, SPACE.id), (CANDIDATE.id, OTHER.id))
    for arm, ranked in of.items():
        picked = [hit.id for hit in page.hits if hit.origin is not None and hit.origin.arm is arm]
        assert picked == sorted(picked, key=ranked.index), "within an arm the order is the arm's"


async def test_both_faces_tell_where_a_hit_is_from(world: World) -> None:
    page = await asked(world, k=4)
    document, message = search_document(page), answer_to_wire(page)
    assert document["variant"] == {"rollout": RUN, "arm": "interleaved"}
    for hit, told, wired in zip(page.hits, document["results"], message.results, strict=True):
        assert hit.origin is not None
        assert (told["arm"], told["index"], told["space"]) == (hit.origin.arm, hit.origin.index, hit.origin.space)
        assert (wired.arm, wired.index, wired.space) == (hit.origin.arm, hit.origin.index, hit.origin.space)


async def test_pages_repeat_nothing_and_show_everything_that_either_arm_has(world: World) -> None:
    shown: list[int] = []
    cursor = ""
    while True:
        page = await asked(world, k=7, cursor=cursor)
        assert page.variant == Variant(RUN, Arm.INTERLEAVED)
        shown += [hit.id for hit in page.hits]
        if page.next_cursor is None:
            break
        again = await asked(world, k=7, cursor=page.next_cursor)
        assert [hit.id for hit in again.hits] == [
            hit.id for hit in (await asked(world, k=7, cursor=page.next_cursor)).hits
        ], "the seed is the cursor's"
        cursor = page.next_cursor
    assert sorted(shown) == list(range(1, 41))


async def test_near_duplicates_of_two_arms_are_one_hit_and_nobodys(world: World, other_shard: OtherShard) -> None:
    first, second = vector_of(1), normalise(vector_of(1) + 0.1 * vector_of(2))
    for id, here, there in ((201, first, second), (202, second, first)):  # another of the two leads in each arm
        world.owner(id).add(id, here, phash=5)
        other_shard.add(id, np.roll(there, 5), phash=5)
    hits = (await asked(world, k=10)).hits
    both = [hit for hit in hits if hit.id in (201, 202)]
    assert len(both) == 1 and both[0].origin is not None
    assert both[0].origin.arm is Brought.BOTH
    assert {both[0].id, *(one.id for one in both[0].duplicates)} == {201, 202}
    dropped = await asked(world, k=10, near_duplicates=NearDuplicates.DROP)
    assert sum(hit.id in (201, 202) for hit in dropped.hits) == 1
    assert all(not hit.duplicates for hit in dropped.hits)
    page = await asked(world, k=10, near_duplicates=NearDuplicates.DROP, cursor=dropped.next_cursor)
    assert not any(hit.id in (201, 202) for hit in page.hits), "what a hit stands for is seen"
    kept = await asked(world, k=10, near_duplicates=NearDuplicates.KEEP)
    assert {201, 202} <= {hit.id for hit in kept.hits}


@pytest.mark.parametrize(
    ("broken", "answers", "index"),
    [(Arm.CANDIDATE, Arm.CONTROL, CONTROL.id), (Arm.CONTROL, Arm.CANDIDATE, CANDIDATE.id)],
)
async def test_where_one_arm_fails_the_other_one_answers_and_says_so(
    world: World, other_shard: OtherShard, counted: Counted, broken: Arm, answers: Arm, index: str
) -> None:
    shards = [other_shard] if broken is Arm.CANDIDATE else world.shards
    first = await asked(world, k=5)
    counted.searched_arms.clear()
    for shard in shards:
        shard.fault = ReplicaDown("gone")
    page = await asked(world, k=5)
    assert page.variant == Variant(RUN, answers)
    assert page.index == index and all(hit.origin is None for hit in page.hits)
    assert [hit.id for hit in page.hits] == await alone(world, index, k=5)
    assert counted.searched_arms == {(answers, True): 1, (broken, False): 1}
    later = await asked(world, k=5, cursor=first.next_cursor)
    assert later.variant == Variant(RUN, answers)
    assert {hit.id for hit in first.hits}.isdisjoint(hit.id for hit in later.hits)
    for shard in shards:
        shard.fault = None
    on = await asked(world, k=5, cursor=later.next_cursor)
    assert on.variant == Variant(RUN, answers), "a page begun goes on in its arm"


async def test_where_both_fail_the_error_is_the_controls(world: World, other_shard: OtherShard) -> None:
    for shard in (*world.shards, other_shard):
        shard.fault = ReplicaDown("gone")
    with pytest.raises(ReplicaDown):
        await asked(world)


async def test_both_arms_of_a_search_are_counted_against_each_other(world: World, counted: Counted) -> None:
    await asked(world)
    assert counted.searched_arms == {(Arm.CONTROL, True): 1, (Arm.CANDIDATE, True): 1}


async def test_who_is_not_drawn_takes_no_part(world: World, counted: Counted) -> None:
    interleave(world, share=30)
    variants = Counter([(await asked(world, user_id=f"u{n}")).variant for n in range(60)])
    assert set(variants) == {None, Variant(RUN, Arm.INTERLEAVED)}
    assert 5 <= variants[Variant(RUN, Arm.INTERLEAVED)] <= 35
    assert sum(counted.searched_arms.values()) == 2 * variants[Variant(RUN, Arm.INTERLEAVED)]
    vector = await world.core.search(ANN, SearchQuery((SoughtVector(vector_of(3), SPACE.id),), k=5))
    assert vector.variant is None, "a vector means nothing to the other space"


async def test_pages_end_when_either_index_is_retired(world: World) -> None:
    first = await asked(world, k=5)
    interleave(world, candidate=IndexState.RETIRED)
    with pytest.raises(CursorExpired):
        await asked(world, k=5, cursor=first.next_cursor)


async def test_a_reranker_that_is_away_costs_the_collapsing_and_is_said(
    world: World, other_shard: OtherShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*args: object) -> None:
        return None

    monkeypatch.setattr("services.gateway.search.finding.Finder.grouped", none)
    page = await asked(world, k=10)
    assert page.degraded == (Degraded.RERANK_SKIPPED,)
    assert len(page.hits) == 10


async def test_explain_tells_of_both_arms(world: World, tmp_path: Path) -> None:
    told = (await asked(world, k=3, explain=True)).explain
    assert told is not None
    assert len(told["shards"]) == 2
    assert len(told["candidate"]["shards"]) == 1

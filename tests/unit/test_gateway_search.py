"""The search core over shards that hold their pictures in memory and compare them one by one."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.buckets import shard_of
from omma.errors import (
    Absent,
    CoverageTooLow,
    InvalidQuery,
    NoTextTower,
    Overloaded,
    ReplicaDown,
    TooLarge,
    WrongSpace,
    WrongState,
)
from omma.hits import Degraded, Payload, ShardHits
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.rollouts.rollout import Routing
from omma.rpc.deadline import Deadline
from omma.v1 import search_pb2
from omma.vectors import normalise
from services.egs.client import ImageItem, TextItem
from services.gateway.grpc.wire import answer_to_wire, query_from_wire
from services.gateway.search.admission import Admission
from services.gateway.search.fanout.race import Race
from services.gateway.search.query import (
    Region,
    SearchQuery,
    SoughtPicture,
    SoughtStored,
    SoughtVector,
    SoughtWords,
)
from services.nn_shard.client import FetchedPicture
from services.rerank.client import NearDuplicates
from services.topology.indexes import ServedIndex
from tests.unit.search_world import (
    ANN,
    DIM,
    SPACE,
    BrokenReranker,
    BruteForceShard,
    SeedEmbedder,
    World,
    best,
    vector_of,
)


@pytest.fixture
async def originals(tmp_path: Path) -> AsyncIterator[Originals]:
    originals = Originals(FolderBlobs(tmp_path))
    yield originals
    await originals.close()


@pytest.fixture
def world(originals: Originals) -> World:
    return World(originals)


async def test_the_best_of_every_shard_in_one_list(world: World) -> None:
    assert await world.ids(SoughtPicture(b"1000"), k=7) == best(vector_of(1000), range(1, 41), 7)
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"5"),), k=3))
    assert (answer.space, answer.index) == (SPACE.id, "m-1-00000000.1")
    assert (answer.coverage.fraction, answer.coverage.shards_answered, answer.coverage.shards_total) == (1.0, 2, 2)
    assert answer.degraded == ()
    assert answer.hits[0].id == 5
    assert answer.hits[0].payload.uri == "omma:5"
    assert answer.explain is None


async def test_a_search_keeps_no_hits_until_the_collector_comes(world: World) -> None:
    await world.ids(SoughtPicture(b"1000"))
    gc.collect()
    gc.disable()
    try:
        await world.ids(SoughtPicture(b"1000"))
        assert [type(one) for one in gc.get_objects() if isinstance(one, Race | ShardHits)] == []
    finally:
        gc.enable()


async def test_pictures_and_words_are_embedded_in_one_call_and_mixed_by_weight(world: World) -> None:
    sought = (SoughtPicture(b"1000", 2.0), SoughtWords("2000", -0.5), SoughtVector(7 * vector_of(3000), SPACE.id, 1.5))
    query = normalise(2.0 * vector_of(1000) - 0.5 * vector_of(2000) + 1.5 * vector_of(3000))
    assert await world.ids(*sought, k=9) == best(query, range(1, 41), 9)
    assert [len(items) for items in world.embedder.calls] == [2]


async def test_weights_that_cancel_out_are_refused(world: World) -> None:
    with pytest.raises(InvalidQuery) as failure:
        await world.ids(SoughtWords("1"), SoughtWords("1", -1.0))
    assert failure.value.field == "weight"


async def test_a_stored_picture_is_not_embedded_and_leaves_itself_out(world: World) -> None:
    others = [id for id in range(1, 41) if id != 7]
    found = await world.ids(SoughtStored(ImageId(7)), k=40)
    assert found[:10] == best(vector_of(7), others, 10)
    assert sorted(found) == others
    assert world.embedder.calls == []


async def test_a_part_of_a_stored_picture_is_read_and_embedded(originals: Originals) -> None:
    world = World(originals)
    sha256, uri = await originals.put(b"1000")
    shard = world.owner(7)
    stored = shard.pictures[7]
    payload = Payload(uri=uri, sha256=sha256)
    shard.pictures[7] = FetchedPicture(
        stored.image_id, stored.version, stored.tenant, stored.vectors, stored.boxes, stored.phash, payload
    )
    others = [id for id in range(1, 41) if id != 7]
    region = Region((0.0, 0.0, 0.5, 0.5), fraction=True)
    assert await world.ids(SoughtStored(ImageId(7), region=region), k=5) == best(vector_of(1000), others, 5)
    (items,) = world.embedder.calls
    assert isinstance(items[0], ImageItem)
    assert items[0].fractions == ((0.0, 0.0, 0.5, 0.5),)


@pytest.mark.parametrize(
    ("sought", "error", "field"),
    [
        (SoughtStored(ImageId(999)), Absent, "image_id"),
        (SoughtVector(vector_of(1), "other"), WrongSpace, "space"),
        (SoughtVector(vector_of(1)[:3], SPACE.id), InvalidQuery, "vector"),
        (SoughtVector(np.full(DIM, np.nan, np.float32), SPACE.id), InvalidQuery, "vector"),
        (SoughtVector(vector_of(1), ""), InvalidQuery, "space"),
        (SoughtPicture(b""), InvalidQuery, "image"),
        (SoughtWords("  "), InvalidQuery, "text"),
        (SoughtWords("1" * 2_001), TooLarge, "text"),
    ],
)
async def test_what_cannot_be_sought(world: World, sought: Any, error: type[Exception], field: str) -> None:
    with pytest.raises(error) as failure:
        await world.ids(sought)
    assert getattr(failure.value, "field", None) == field


async def test_words_need_a_text_tower(world: World) -> None:
    world.embedder.has_text_tower = False
    with pytest.raises(NoTextTower):
        await world.ids(SoughtWords("1"))


@pytest.mark.parametrize("fault", [ReplicaDown("x"), WrongState("x"), Overloaded("x"), RuntimeError("a bug")])
async def test_a_lost_shard_is_said_and_ends_nothing_else(world: World, fault: Exception) -> None:
    whole = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),)))
    assert whole.coverage.fraction == 1.0
    world.shards[0].fault = fault
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), explain=True))
    assert {hit.id for hit in answer.hits} == set(world.shards[1].pictures)
    assert Degraded.SHARD_MISSING in answer.degraded
    # What the lost shard last held still counts.
    assert answer.coverage.fraction == pytest.approx(len(world.shards[1].pictures) / 40)
    assert answer.explain is not None
    assert "missing" in answer.explain["shards"][0]
    with pytest.raises(CoverageTooLow):
        await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), min_coverage=0.9))


async def test_a_lost_shards_address_is_not_told(world: World) -> None:
    world.owner(7).fault = ReplicaDown("10.1.2.3:9091 refused")
    with pytest.raises(ReplicaDown) as failure:
        await world.ids(SoughtStored(ImageId(7)))
    assert "10.1.2.3" not in failure.value.detail


async def test_no_shard_at_all_is_an_error(world: World) -> None:
    for shard in world.shards:
        shard.fault = ReplicaDown("x")
    with pytest.raises(ReplicaDown):
        await world.ids(SoughtPicture(b"1000"))
    for shard in world.shards:
        shard.fault = Overloaded("x")
    with pytest.raises(Overloaded):
        await world.ids(SoughtPicture(b"1000"))


async def test_what_a_shard_finds_wrong_with_the_query_is_the_callers(world: World) -> None:
    world.shards[1].fault = InvalidQuery("x", field="filter")
    with pytest.raises(InvalidQuery):
        await world.ids(SoughtPicture(b"1000"))


async def test_a_shard_that_hangs_costs_the_deadline_not_the_answer(world: World) -> None:
    world.shards[0].hangs = True
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), timeout_ms=600))
    assert {hit.id for hit in answer.hits} == set(world.shards[1].pictures)
    assert Degraded.SHARD_MISSING in answer.degraded
    assert Degraded.RERANK_SKIPPED not in answer.degraded, "time was kept for re-ranking"


async def test_an_answer_of_another_index_never_gets_in(world: World) -> None:
    world.shards[0].index = "m-1-00000000.9"
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),)))
    assert {hit.id for hit in answer.hits} == set(world.shards[1].pictures)
    assert Degraded.SHARD_MISSING in answer.degraded


async def test_another_replica_is_asked_at_once(world: World) -> None:
    down = BruteForceShard()
    down.fault = ReplicaDown("x")
    live = world.indexes.live()
    replicas = tuple((down, shard) for shard in world.shards)
    world.indexes.replace([ServedIndex(live.index, SPACE, replicas, world.embedder)])
    for _ in range(4):  # whichever replica's turn it is
        answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),)))
        assert (answer.coverage.fraction, answer.degraded) == (1.0, ())
        assert await world.ids(SoughtStored(ImageId(7)), k=1)


async def test_receipts_go_to_the_shards_that_own_them(world: World) -> None:
    receipts = tuple(Receipt(ImageId(id), Version(1)) for id in range(1, 11))
    await world.ids(SoughtPicture(b"1"), receipts=receipts)
    for number, shard in enumerate(world.shards):
        owned = {receipt for receipt in receipts if shard_of(receipt.image_id, 2, SPACE.buckets) == number}
        assert set(shard.asked[-1].receipts) == owned


async def test_a_stored_picture_that_is_on_its_way_is_awaited(world: World) -> None:
    async def arrives() -> None:
        world.owner(50).add(50, vector_of(50))

    query = SearchQuery((SoughtStored(ImageId(50)),), k=1, receipts=(Receipt(ImageId(50), Version(1)),))
    search = asyncio.create_task(world.core.search(ANN, query))
    await asyncio.sleep(0)
    await arrives()
    assert len((await search).hits) == 1


async def test_without_the_re_ranker_what_was_demanded_still_holds(originals: Originals) -> None:
    world = World(originals, reranker=BrokenReranker())
    world.owner(60).add(60, vector_of(60), phash=7)  # the query's own
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), k=5))
    assert answer.degraded == (Degraded.RERANK_SKIPPED,)
    assert len(answer.hits) == 5
    above = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), score_threshold=0.2))
    assert above.hits
    assert all(hit.score >= 0.2 for hit in above.hits)
    gated = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), phash_gate=0))
    assert [hit.id for hit in gated.hits] == [60]


async def test_collapsing_still_fills_k(originals: Originals) -> None:
    world = World(originals)
    for image_id in range(100, 160):  # sixty copies of picture 1
        world.owner(image_id).add(image_id, vector_of(1), phash=1)
    world.owner(1).add(1, vector_of(1), phash=1)
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=10))
    assert len(answer.hits) == 10
    first, *others = answer.hits
    assert (first.id, {one.id for one in first.duplicates}) == (1, set(range(100, 160)))
    assert [hit.id for hit in others] == best(vector_of(1), range(2, 41), 9)


async def test_vectors_travel_only_where_they_decide(originals: Originals) -> None:
    world = World(originals)
    fetched: list[int] = []
    for shard in world.shards:

        async def fetch(
            tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline, of: BruteForceShard = shard
        ) -> list[FetchedPicture]:
            fetched.extend(ids)
            return await BruteForceShard.fetch(of, tenant, ids, deadline)

        shard.fetch = fetch  # type: ignore[method-assign]
    for image_id in (101, 102):  # one is a copy; the other has its pHash alone
        world.owner(image_id).add(image_id, vector_of(image_id - 100), phash=1)
    world.owner(1).add(1, vector_of(1), phash=1)
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=40))
    assert [(hit.id, [one.id for one in hit.duplicates]) for hit in answer.hits if hit.duplicates] == [(1, [101])]
    assert sorted(fetched) == [1, 101, 102]
    await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=40, near_duplicates=NearDuplicates.KEEP))
    assert sorted(fetched) == [1, 101, 102]
    assert not any(query.with_vectors for shard in world.shards for query in shard.asked)
    await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=40, policy="diverse"))
    assert all(shard.asked[-1].with_vectors for shard in world.shards)


async def test_vectors_that_do_not_come_cost_the_folding_alone(originals: Originals) -> None:
    world = World(originals)
    for image_id in (1, 101):
        world.owner(image_id).add(image_id, vector_of(1), phash=1)

    async def gone(tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        raise ReplicaDown("gone")

    for shard in world.shards:
        shard.fetch = gone  # type: ignore[method-assign]
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=3))
    assert [hit.id for hit in answer.hits][:2] == [1, 101]
    assert answer.degraded == (Degraded.RERANK_SKIPPED,)


async def test_pages_repeat_nothing_and_leave_nothing_out(world: World) -> None:
    seen: list[int] = []
    cursor = ""
    while True:
        answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1000"),), k=7, cursor=cursor))
        seen += [hit.id for hit in answer.hits]
        if answer.next_cursor is None:
            break
        cursor = answer.next_cursor
    assert seen == best(vector_of(1000), range(1, 41), 40)


async def test_a_cursor_of_another_search_is_refused(world: World) -> None:
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=7))
    assert answer.next_cursor is not None
    with pytest.raises(InvalidQuery) as failure:
        await world.ids(SoughtPicture(b"1"), use_crops=True, cursor=answer.next_cursor)
    assert failure.value.field == "cursor"
    for other in (SoughtPicture(b"2"), SoughtPicture(b"1", 0.5), SoughtStored(ImageId(1)), SoughtWords("1")):
        with pytest.raises(InvalidQuery) as failure:
            await world.ids(other, cursor=answer.next_cursor)
        assert failure.value.field == "cursor"
    assert len(await world.ids(SoughtPicture(b"1"), k=3, cursor=answer.next_cursor)) == 3, (
        "another k is the same search"
    )


async def test_pages_over_grpc_are_those_of_rest(world: World) -> None:
    seen: list[int] = []
    request = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=b"1000")], k=7)
    while True:
        page = answer_to_wire(await world.core.search(ANN, query_from_wire(request)))
        seen += [hit.id for hit in page.results]
        if not page.next_cursor:
            break
        request.cursor = page.next_cursor
    assert seen == best(vector_of(1000), range(1, 41), 40)


async def test_indexes_are_pinned_by_name(world: World) -> None:
    assert await world.ids(SoughtPicture(b"1"), index="m-1-00000000.1", k=1) == [1]
    with pytest.raises(Absent) as failure:
        await world.ids(SoughtPicture(b"1"), index="nope")
    assert "m-1-00000000.1" in failure.value.detail
    with pytest.raises(WrongState):
        await world.ids(SoughtPicture(b"1"), index="m-1-00000000.2")
    world.indexes.replace([])
    with pytest.raises(ReplicaDown):
        await world.ids(SoughtPicture(b"1"))


async def test_one_search_too_many_is_refused_and_leaves_room_again(originals: Originals) -> None:
    world = World(originals, admission=Admission(max_running=1))
    world.shards[0].hangs = True
    slow = asyncio.create_task(world.ids(SoughtPicture(b"1"), timeout_ms=60_000))
    await world.shards[0].reached.wait()
    with pytest.raises(Overloaded) as failure:
        await world.ids(SoughtPicture(b"1"))
    assert failure.value.retry_after_seconds
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    world.shards[0].hangs = False
    assert await world.ids(SoughtPicture(b"1"), k=1) == [1]


async def test_a_bad_search_never_fails_its_batch(world: World) -> None:
    good, bad = SearchQuery((SoughtPicture(b"3"),), k=1), SearchQuery((SoughtStored(ImageId(999)),))
    first, second, third = await world.core.search_batch(ANN, [good, bad, good])
    assert isinstance(second, Absent)
    assert not isinstance(first, Exception)
    assert not isinstance(third, Exception)
    assert first.hits[0].id == third.hits[0].id == 3
    with pytest.raises(InvalidQuery):
        await world.core.search_batch(ANN, [good] * 65)


async def test_explain_tells_stages_shards_and_what_was_dropped(world: World) -> None:
    world.owner(101).add(101, vector_of(1), phash=1)
    world.owner(1).add(1, vector_of(1), phash=1)
    query = SearchQuery((SoughtPicture(b"1"),), k=3, near_duplicates=NearDuplicates.DROP, explain=True)
    told = (await world.core.search(ANN, query)).explain
    assert told is not None
    assert {"resolve", "shards", "merge", "rerank", "search"} <= set(told["stages_ms"])
    assert told["dropped"] == [{"id": 101, "reason": "near_duplicate"}]
    assert [shard["shard"] for shard in told["shards"]] == [0, 1]
    assert told["policy"].startswith("default@")


async def test_tenants_are_the_shards_to_keep_apart_and_the_cores_to_name(world: World) -> None:
    bob = Tenant("bob")
    world.owner(70).add(70, vector_of(70), tenant=bob)
    assert 70 not in await world.ids(SoughtPicture(b"70"), k=100)
    answer = await world.core.search(bob, SearchQuery((SoughtPicture(b"70"),)))
    assert [hit.id for hit in answer.hits] == [70]
    with pytest.raises(Absent):
        await world.ids(SoughtStored(ImageId(70)))


class Unsure(SeedEmbedder):
    """Understands each text as far as it is told."""

    def __init__(self, **confidences: float) -> None:
        super().__init__()
        self.confidences = confidences

    async def embed(self, items: Any, deadline: Any) -> list[Any]:
        made: list[Any] = []
        for item in items:
            known = item if isinstance(item, ImageItem) else TextItem(item.text.lstrip("a"))
            made.append(replace(self._one(known), confidence=self.confidences.get(getattr(item, "text", ""), 1.0)))
        return made


async def test_words_that_say_nothing_find_nothing_and_the_answer_says_so(originals: Originals) -> None:
    world = World(originals)
    live = world.indexes.live()
    world.indexes.replace([replace(live, embedder=Unsure(a3=0.0, a4=0.6))])
    nothing = await world.core.search(ANN, SearchQuery((SoughtWords("a3"),), k=5))
    assert (nothing.hits, nothing.understood, nothing.next_cursor, nothing.degraded) == ((), 0.0, None, ())
    assert nothing.coverage.fraction == 1.0
    part = await world.core.search(ANN, SearchQuery((SoughtWords("a4"),), k=5))
    assert (part.hits[0].id, part.understood) == (4, 0.6)
    assert (await world.core.search(ANN, SearchQuery((SoughtPicture(b"4"),), k=5))).understood is None


async def test_words_that_say_nothing_leave_the_rest_of_the_query_as_it_is(originals: Originals) -> None:
    world = World(originals)
    alone = await world.core.search(ANN, SearchQuery((SoughtPicture(b"4"),), k=5))
    world.indexes.replace([replace(world.indexes.live(), embedder=Unsure(a3=0.0))])
    mixed = await world.core.search(ANN, SearchQuery((SoughtPicture(b"4"), SoughtWords("a3")), k=5))
    assert mixed.understood == 0.0
    assert [(hit.id, hit.score) for hit in mixed.hits] == [(hit.id, hit.score) for hit in alone.hits]


def calibrated(world: World, match_score: float) -> None:
    """As the follower does when the catalog knows the live index's score."""
    live = replace(world.indexes.live().index, match_score=match_score)
    world.indexes.follow(Routing(1, (live,)))


async def test_what_is_like_nothing_here_is_said_by_the_indexs_own_score(world: World) -> None:
    near, far = SearchQuery((SoughtPicture(b"1"),)), SearchQuery((SoughtPicture(b"1000"),))
    assert not (await world.core.search(ANN, far)).no_good_match, "nothing is known before it is calibrated"
    calibrated(world, 0.95)
    assert not (await world.core.search(ANN, near)).no_good_match
    said = await world.core.search(ANN, far)
    assert said.no_good_match and said.hits
    assert not (await world.core.search(ANN, replace(far, sought=(SoughtWords("1000"),)))).no_good_match
    assert (await world.core.search(Tenant("nobody"), near)).no_good_match


async def test_an_automatic_threshold_is_the_indexs_own(world: World) -> None:
    far = SearchQuery((SoughtPicture(b"1000"),), auto_threshold=True)
    assert len((await world.core.search(ANN, far)).hits) == 40, "nothing is cut while there is none"
    calibrated(world, 0.2)
    answer = await world.core.search(ANN, far)
    assert 0 < len(answer.hits) < 40
    assert min(hit.score for hit in answer.hits) >= 0.2
    words = await world.core.search(ANN, replace(far, sought=(SoughtWords("1000"),)))
    assert len(words.hits) == 40
    with pytest.raises(InvalidQuery, match="auto"):
        replace(far, score_threshold=0.1)


async def test_over_grpc_too(world: World) -> None:
    calibrated(world, 0.95)
    asked = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=b"1000")], auto_score_threshold=True)
    told = answer_to_wire(await world.core.search(ANN, query_from_wire(asked)))
    assert told.no_good_match and not told.results

"""The search core over shards that hold their pictures in memory and compare them one by one."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from omma.blobs.originals import Originals
from omma.errors import (
    Absent,
    InvalidQuery,
    NoTextTower,
    Overloaded,
    ReplicaDown,
    TooLarge,
    WrongSpace,
    WrongState,
)
from omma.hits import Payload, ShardHits
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.v1 import search_pb2
from omma.vectors import normalise
from services.egs.client import ImageItem
from services.gateway.grpc.wire import answer_to_wire, query_from_wire
from services.gateway.rest.search_fields import json_query
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
from tests.unit.search_world import (
    ANN,
    DIM,
    SPACE,
    BruteForceShard,
    World,
    best,
    vector_of,
)


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
    of_others = {id(one) for one in gc.get_objects() if isinstance(one, Race | ShardHits)}  # servers of other tests
    gc.disable()
    try:
        await world.ids(SoughtPicture(b"1000"))
        kept = [one for one in gc.get_objects() if isinstance(one, Race | ShardHits)]
        assert [type(one) for one in kept if id(one) not in of_others] == []
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
    payload = Payload(uri=uri, sha256=sha256, width=8, height=8)
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
    answer = await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), k=3, explain=True))
    assert [hit.id for hit in answer.hits][:2] == [1, 101]
    assert answer.degraded == ()
    assert answer.explain is not None
    assert sorted(answer.explain["undecided"]) == [1, 101]


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


async def test_weights_that_leave_nothing_are_named_as_they_were_sent(world: World) -> None:
    ones = vector_of(1).tolist()
    for body, field in (
        ({"text": "1", "text_weight": 0}, "text_weight"),
        ({"text": "1", "vector": ones, "space": SPACE.id, "vector_weight": -1}, "vector_weight"),
        ({"queries": [{"text": "1", "weight": 0}]}, "weight"),
    ):
        with pytest.raises(InvalidQuery, match="sum of what is sought is zero") as failure:
            await world.core.search(ANN, json_query(body))
        assert failure.value.field == field


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


def test_a_space_beside_no_vector_is_refused_over_grpc_too() -> None:
    request = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(text="1")], space="m-1-00000000")
    with pytest.raises(InvalidQuery) as failure:
        query_from_wire(request)
    assert failure.value.field == "space"


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

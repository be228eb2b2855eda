"""Shards and re-rankers that do not answer, and receipts that are waited for."""

import asyncio

import pytest

from omma.blobs.originals import Originals
from omma.buckets import shard_of
from omma.errors import (
    CoverageTooLow,
    InvalidQuery,
    Overloaded,
    ReplicaDown,
    WrongState,
)
from omma.hits import Degraded
from omma.identity import ImageId, Receipt, Version
from services.gateway.search.query import (
    SearchQuery,
    SoughtPicture,
    SoughtStored,
)
from services.topology.indexes import ServedIndex
from tests.unit.search_world import (
    ANN,
    SPACE,
    BrokenReranker,
    BruteForceShard,
    World,
    vector_of,
)


@pytest.fixture
def world(originals: Originals) -> World:
    return World(originals)


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


async def test_a_candidate_whose_vector_cannot_be_had_counts_as_no_copy_and_the_others_are_re_ranked(
    world: World,
) -> None:
    first, second = world.shards
    for shard, ids in ((first, (60, 61)), (second, (70, 71))):
        for id, taken in zip(ids, (n for n in range(100, 200) if world.owner(n) is shard), strict=False):
            shard.add(taken, vector_of(id - id % 10), phash=id - id % 10)  # two copies a shard, without signatures
    query = SearchQuery((SoughtPicture(b"1000"),), explain=True)
    assert sum(len(hit.duplicates) for hit in (await world.core.search(ANN, query)).hits) == 2
    second.fetch_fault = ReplicaDown("x")
    answer = await world.core.search(ANN, query)
    assert answer.degraded == ()
    assert answer.explain is not None
    assert set(answer.explain["undecided"]) == {id for id in second.pictures if id >= 100}
    assert sum(len(hit.duplicates) for hit in answer.hits) == 1


async def test_where_vectors_decide_often_they_travel_with_the_hits_and_nothing_is_fetched(world: World) -> None:
    copies = [n for n in range(100, 200) if world.owner(n) is world.shards[0]][:2]
    for id in copies:
        world.shards[0].add(id, vector_of(60), phash=60)
    query = SearchQuery((SoughtPicture(b"1000"),))
    answers = [(await world.core.search(ANN, query)).hits for _ in range(64)]
    assert all(one == answers[0] for one in answers)
    asked = [query.with_vectors for query in world.shards[0].asked]
    assert asked[0] is False
    assert sum(asked[32:]) == 30  # each sixteenth looks again
    world.shards[0].pictures = {id: one for id, one in world.shards[0].pictures.items() if id not in copies}
    for _ in range(16 * 16):
        await world.core.search(ANN, query)
    assert world.shards[0].asked[-2].with_vectors is False

"""What a gateway keeps of earlier searches is never older than the shards, never another's, and never too much."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.hits import ShardHits
from omma.identity import ImageId, Receipt, Tenant
from omma.rpc.deadline import Deadline
from omma.space import SpaceId
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.finding import Said
from services.gateway.search.kept.bounded import Bounded
from services.gateway.search.kept.embeddings import KeptEmbeddings
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtStored, SoughtVector, SoughtWords
from services.nn_shard.client import ShardQuery
from tests.unit.search_world import ANN, SPACE, BruteForceShard, World, vector_of

BOB = Tenant("bob")
KEPT = {"kept_embeddings_bytes": 1 << 20, "kept_results_bytes": 1 << 20}
QUERIES = [
    SearchQuery((SoughtWords("3"),), k=3),
    SearchQuery((SoughtWords("3"),), k=4),
    SearchQuery((SoughtStored(ImageId(5)),), k=3),
    SearchQuery((SoughtPicture(b"9"),), k=3, exact=True),
    SearchQuery((SoughtVector(vector_of(12), SPACE.id),), k=3, score_threshold=0.2),
    SearchQuery((SoughtWords("3"), SoughtStored(ImageId(7), weight=-0.5)), k=3),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(FolderBlobs(tmp_path_factory.mktemp("blobs")))


def world_of(originals: Originals, **options: Any) -> World:
    world = World(originals, **options)
    for shard in world.shards:
        shard.state = 1
    return world


def told(answer: SearchAnswer) -> list[tuple[int, float]]:
    return [(hit.id, hit.score) for hit in answer.hits]


def write(shard: BruteForceShard, image_id: int, seed: int | None, tenant: Tenant) -> None:
    """As a shard applies a record: what it holds changes first, its state then."""
    if seed is None:
        shard.pictures.pop(image_id, None)
    else:
        shard.add(image_id, vector_of(seed), tenant=tenant)
    assert shard.state is not None
    shard.state += 1


writes = st.tuples(st.integers(1, 12), st.one_of(st.none(), st.integers(1, 20)), st.sampled_from([ANN, BOB]))
asks = st.tuples(st.sampled_from(QUERIES), st.sampled_from([ANN, BOB]))


@pytest.fixture(scope="module")
def twins(originals: Originals) -> tuple[World, World]:
    """Over the same pictures: one that keeps what it found, one that does not."""
    keeping, asking = world_of(originals, **KEPT), World(originals)
    for mine, its in zip(asking.shards, keeping.shards, strict=True):
        mine.pictures = its.pictures
    return keeping, asking


@given(st.lists(st.one_of(writes, asks), max_size=40))
def test_a_kept_answer_is_what_the_shards_would_answer_now(twins: tuple[World, World], steps: list[Any]) -> None:
    async def play() -> None:
        for step in steps:
            if isinstance(step[0], int):
                write(twins[0].owner(step[0]), *step)
                continue
            query, tenant = step
            kept, asked = [await tried(world, tenant, query) for world in twins]
            assert kept == asked

    asyncio.run(play())


async def tried(world: World, tenant: Tenant, query: SearchQuery) -> Any:
    try:
        return told(await world.core.search(tenant, query))
    except Exception as error:  # noqa: BLE001  the same for both
        return type(error)


class WrittenTo(BruteForceShard):
    """A record is applied while a search of it is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.state = 1
        self.meanwhile: list[tuple[int, int]] = []

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        found = await super().search(query, deadline)
        while self.meanwhile:
            write(self, *self.meanwhile.pop(), ANN)
        return found


async def test_what_was_found_while_something_was_written_is_not_kept(originals: Originals) -> None:
    world = world_of(originals, **KEPT)
    written_to = WrittenTo()
    written_to.pictures = world.shards[0].pictures
    (served,) = [one for one in world.indexes.every() if one.index.id == "m-1-00000000.1"]
    world.indexes.replace([type(served)(served.index, SPACE, ((written_to,), (world.shards[1],)), world.embedder)])
    query = SearchQuery((SoughtVector(vector_of(3), SPACE.id),), k=2)
    new = next(id for id in range(100, 200) if world.owner(id) is world.shards[0])
    written_to.meanwhile = [(new, 3)]
    assert new not in dict(told(await world.core.search(ANN, query)))
    assert new in dict(told(await world.core.search(ANN, query)))


async def test_the_second_time_neither_shards_nor_embedder_are_asked(originals: Originals) -> None:
    world = world_of(originals, **KEPT)
    query = SearchQuery((SoughtWords("3"),), k=3)
    first = await world.core.search(ANN, query)
    asked = [len(shard.asked) for shard in world.shards]
    again = await world.core.search(ANN, query)
    assert told(again) == told(first) and again.query_id != first.query_id
    assert [len(shard.asked) for shard in world.shards] == asked and len(world.embedder.calls) == 1
    await world.core.search(BOB, query)
    assert len(world.embedder.calls) == 2, "another tenant's"


@pytest.mark.parametrize("options", [{"explain": True}, {"receipts": (Receipt(ImageId(1), 1),)}])
async def test_what_waits_for_writes_or_is_explained_is_asked_each_time(
    originals: Originals, options: dict[str, Any]
) -> None:
    world = world_of(originals, **KEPT)
    for _ in range(2):
        await world.core.search(ANN, SearchQuery((SoughtVector(vector_of(3), SPACE.id),), k=3, **options))
    assert len(world.shards[0].asked) == 2


async def test_what_people_say_of_pairs_counts_at_once(originals: Originals) -> None:
    said: list[tuple[ImageId, ImageId]] = []
    world = world_of(originals, **KEPT, verdicts=lambda ids: Said(tuple(said)))
    query = SearchQuery((SoughtVector(vector_of(3), SPACE.id),), k=3)
    first = [hit.id for hit in (await world.core.search(ANN, query)).hits]
    said.append((ImageId(first[0]), ImageId(first[1])))
    (best, *_) = (await world.core.search(ANN, query)).hits
    assert [one.id for one in best.duplicates] == [first[1]]


async def test_shards_elsewhere_and_shards_that_left_something_out_are_asked_each_time(originals: Originals) -> None:
    for state, fault in ((None, None), (1, ConnectionError("gone"))):
        world = world_of(originals, **KEPT)
        world.shards[0].state, world.shards[0].fault = state, fault
        for _ in range(2):
            await world.core.search(ANN, SearchQuery((SoughtVector(vector_of(3), SPACE.id),), k=3))
        assert len(world.shards[1].asked) == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60))
def test_no_more_bytes_are_kept_than_may_be(puts: list[tuple[int, int]]) -> None:
    kept: Bounded[int, int] = Bounded("results", 160)
    sizes: dict[int, int] = {}
    for key, size in puts:
        kept.put(key, size, size)
        sizes[key] = size
        assert kept.bytes <= 160
        found = [one for one in sizes if kept.get(one) is not None]
        assert sum(sizes[one] for one in found) == kept.bytes
        assert size > 10 or key in found


def embed(items: Sequence[ImageItem | TextItem], kept: KeptEmbeddings, tenant: Tenant, space: str) -> list[bool]:
    """Whether each was known; what was not is learnt."""
    known = kept.known(tenant, SpaceId(space), items)
    for at, one in enumerate(known.embedded):
        if one is None:
            known.learn(at, EmbeddedItem(vector_of(at)[None], np.zeros((1, 4), np.int32)))
    return [one is not None for one in known.embedded]


def test_an_embedding_is_of_its_tenant_space_bytes_and_region() -> None:
    kept = KeptEmbeddings(1 << 20)
    whole, words = ImageItem(b"a"), TextItem("a")
    others = [
        ImageItem(b"b"),
        TextItem("b"),
        ImageItem(b"a", boxes=np.array([[0, 0, 4, 4]], np.int32)),
        ImageItem(b"a", fractions=((0.0, 0.0, 0.5, 0.5),)),
        ImageItem(b"a", fractions=((0.0, 0.0, 0.5, 0.6),)),
    ]
    items = [whole, words, *others]
    assert embed(items, kept, ANN, "s") == [False] * 7
    assert embed(items, kept, ANN, "s") == [True] * 7
    assert embed(items, kept, BOB, "s") == embed(items, kept, ANN, "t") == [False] * 7
    assert embed([ImageItem(b"a", signature=True)], kept, ANN, "s") == [False]
    assert embed(items, KeptEmbeddings(0), ANN, "s") == embed(items, KeptEmbeddings(0), ANN, "s") == [False] * 7

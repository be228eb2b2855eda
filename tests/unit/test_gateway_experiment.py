"""Arms that differ in settings: the same index, searched another way where the query does not say how."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.index import Index, IndexId, IndexState
from omma.judging.draft import Brought
from omma.rollouts.arms import Arm, Variant, arm_of
from omma.rollouts.rollout import Mode, Rollout, RolloutId, RolloutState, Routing
from omma.rollouts.settings import SearchSettings
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.query import SearchQuery, SoughtPicture
from services.rerank.client import NearDuplicates
from tests.unit.search_world import ANN, SPACE, World, vector_of

LIVE = Index(IndexId("m-1-00000000.1"), SPACE.id, "Flat", 2, IndexState.LIVE)
RUN = RolloutId("e1")
DIVERSE = SearchSettings("diverse", 4)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Originals(FolderBlobs(tmp_path)))


def route(world: World, *, defaults: SearchSettings = SearchSettings(), **running: Any) -> None:  # noqa: B008  frozen
    experiment = None
    if running:
        given = {"settings": DIVERSE, "share": 100.0, **running}
        experiment = Rollout(RUN, RolloutState.CANARY, LIVE.id, LIVE.id, "", name="try", **given)
    world.indexes.follow(Routing(world.indexes.epoch + 1, (LIVE,), experiment, defaults))


async def asked(world: World, **options: Any) -> SearchAnswer:
    return await world.core.search(ANN, SearchQuery((SoughtPicture(b"1"),), timeout_ms=60_000, **options))


def efforts(world: World) -> list[int]:
    return [query.effort for shard in world.shards for query in shard.asked]


async def test_each_arm_searches_as_it_is_set(world: World) -> None:
    route(world, share=50.0)
    for n in range(20):
        for shard in world.shards:
            shard.asked.clear()
        arm = arm_of(RUN, ANN, f"user u{n}", 50)
        answer = await asked(world, user_id=f"u{n}")
        assert answer.variant == Variant(RUN, arm)
        assert answer.index == LIVE.id
        assert answer.policy == ("diverse@2" if arm is Arm.CANDIDATE else "default@2")
        assert set(efforts(world)) == {4 if arm is Arm.CANDIDATE else 0}


async def test_what_a_query_says_itself_counts_and_where_that_is_all_it_takes_no_part(world: World) -> None:
    route(world, share=100.0)
    said = await asked(world, policy="default", effort=2)
    assert (said.policy, said.variant) == ("default@2", None)
    assert set(efforts(world)) == {2}
    half = await asked(world, policy="default")
    assert half.variant == Variant(RUN, Arm.CANDIDATE), "it differs in effort"
    assert half.policy == "default@2"
    route(world, settings=SearchSettings("diverse"), share=100.0)
    assert (await asked(world, policy="default")).variant is None


async def test_promoted_settings_are_everybodys_defaults_pins_and_later_pages_too(world: World) -> None:
    route(world, share=100.0)
    first = await asked(world, k=5)
    later = await asked(world, k=5, cursor=first.next_cursor)
    assert (later.variant, later.policy) == (first.variant, "diverse@2")
    route(world, defaults=DIVERSE)
    for options in ({}, {"index": LIVE.id}, {"cursor": first.next_cursor}):
        assert (await asked(world, k=5, **options)).policy == "diverse@2"
    assert (await asked(world, policy="default")).policy == "default@2"
    route(world)
    assert (await asked(world, k=5, cursor=first.next_cursor)).policy == "default@2", "its arm is no more"


async def test_two_ways_to_search_one_index_are_interleaved_too(world: World) -> None:
    route(world, mode=Mode.INTERLEAVE)
    page = await asked(world, k=10)
    assert page.variant == Variant(RUN, Arm.INTERLEAVED)
    assert len({hit.id for hit in page.hits}) == 10
    brought = Counter(hit.origin.arm for hit in page.hits if hit.origin is not None)
    assert brought[Brought.BOTH] > 0
    assert {hit.origin.index for hit in page.hits if hit.origin is not None} == {LIVE.id}
    assert sorted(set(efforts(world))) == [0, 4]
    assert len(world.embedder.calls) == 1, "both search by one vector"
    later = await asked(world, k=10, cursor=page.next_cursor)
    assert {hit.id for hit in page.hits}.isdisjoint(hit.id for hit in later.hits)


async def test_an_arm_may_take_fewer_pictures_for_copies_and_who_keeps_copies_takes_no_part(world: World) -> None:
    for image_id, phash in ((101, 0xF0F0), (102, 0xF0F0 ^ 0b1111)):
        world.owner(image_id).add(image_id, vector_of(1), phash=phash)
    route(world, settings=SearchSettings(duplicate_bits=3), share=100.0)
    apart = await asked(world, k=3)
    assert ({hit.id for hit in apart.hits}, apart.variant) == ({1, 101, 102}, Variant(RUN, Arm.CANDIDATE))
    assert (await asked(world, k=3, near_duplicates=NearDuplicates.KEEP)).variant is None
    route(world, settings=SearchSettings(duplicate_bits=4), share=100.0)
    assert [one.id for hit in (await asked(world, k=3)).hits for one in hit.duplicates] == [102]
    route(world, defaults=SearchSettings(duplicate_bits=3))
    assert {hit.id for hit in (await asked(world, k=3)).hits} == {1, 101, 102}

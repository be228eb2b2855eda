"""What every catalog keeps of spaces and their indexes, of leases and of keys."""

from dataclasses import replace

import pytest

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.interface import Catalog
from omma.errors import Absent, InvalidQuery, WrongSpace, WrongState
from omma.index import Index, IndexId, IndexState
from omma.space import Space, SpaceId
from tests.clock import Clock
from tests.contract.catalogs import (
    ANN,
    BOB,
    INDEX,
    SPACE,
)


async def test_spaces_are_registered_once(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    await catalog.register_space(SPACE)
    assert await catalog.spaces() == [SPACE]
    for other in (replace(SPACE, dim=128), replace(SPACE, signature="0" * 64), replace(SPACE, buckets=512)):
        with pytest.raises(WrongSpace):
            await catalog.register_space(other)


async def test_an_index_never_changes(catalog: Catalog) -> None:
    with pytest.raises(WrongState):
        await catalog.register_index(INDEX)
    await catalog.register_space(SPACE)
    await catalog.register_index(INDEX)
    assert await catalog.adopt_codebook(INDEX.id, "c" * 64)
    assert not await catalog.adopt_codebook(INDEX.id, "d" * 64)
    await catalog.register_index(INDEX)
    assert await catalog.indexes() == [replace(INDEX, codebook="c" * 64)]
    with pytest.raises(WrongState):
        await catalog.register_index(replace(INDEX, shards=2))
    with pytest.raises(Absent):
        await catalog.adopt_codebook("x", "c")


async def test_a_space_comes_with_its_index_or_not_at_all(catalog: Catalog) -> None:
    await catalog.register_space(SPACE, replace(INDEX, state=IndexState.LIVE))
    own = Space(SpaceId("own"), "", "e" * 64, 5)
    before = await catalog.routing()
    for index in (
        replace(INDEX, space=own.id),
        Index(IndexId("own.1"), own.id, "Flat", 1, IndexState.LIVE),
        Index(IndexId("own.1"), SpaceId("nobody's"), "Flat", 1, IndexState.STANDBY),
    ):
        with pytest.raises(WrongState) as refused:
            await catalog.register_space(own, index)
        assert "Index(" not in refused.value.detail
        assert (await catalog.spaces(), await catalog.routing()) == ([SPACE], before)
    standby = Index(IndexId("own.1"), own.id, "Flat", 1, IndexState.STANDBY)
    for _ in range(2):
        await catalog.register_space(replace(own, dim=6), standby)
    assert standby in await catalog.indexes() and len(await catalog.spaces()) == 2


async def test_an_index_keeps_its_match_score_and_the_routing_has_it(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    await catalog.register_index(INDEX)
    await catalog.keep_match_score(INDEX.id, 0.5)
    await catalog.keep_match_score("another", 0.7)
    assert [one.match_score for one in await catalog.indexes()] == [0.5]
    assert [one.match_score for one in (await catalog.routing()).indexes] == [0.5]
    await catalog.register_index(INDEX)
    assert [one.match_score for one in await catalog.indexes()] == [0.5]


async def test_one_index_is_live(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    first = replace(INDEX, state=IndexState.LIVE)
    await catalog.register_index(first)
    await catalog.register_index(first)
    with pytest.raises(WrongState):
        await catalog.register_index(replace(first, id=IndexId(f"{SPACE.id}.2")))
    assert await catalog.indexes() == [first]


async def test_a_lease_has_one_holder(catalog: Catalog, clock: Clock) -> None:
    assert await catalog.acquire_lease("train", "a", 10)
    assert not await catalog.acquire_lease("train", "b", 10)
    clock.seconds += 9
    assert await catalog.acquire_lease("train", "a", 10)
    clock.seconds += 9
    assert not await catalog.acquire_lease("train", "b", 10)
    clock.seconds += 1
    assert await catalog.acquire_lease("train", "b", 10)
    await catalog.release_lease("train", "a")
    assert not await catalog.acquire_lease("train", "a", 10)
    await catalog.release_lease("train", "b")
    assert await catalog.acquire_lease("train", "a", 10)


async def test_a_lease_outlasts_no_clock_that_is_set_back(catalog: Catalog, clock: Clock) -> None:
    assert await catalog.acquire_lease("train", "a", 10)
    assert await catalog.acquire_lease("daily", "a", 86_400)
    clock.seconds -= 86_400
    assert not await catalog.acquire_lease("train", "b", 10), "it may be at work"
    clock.seconds += 9
    assert not await catalog.acquire_lease("train", "b", 10)
    clock.seconds += 1
    assert await catalog.acquire_lease("train", "b", 10)
    assert not await catalog.acquire_lease("daily", "b", 60, longest_seconds=86_400)
    clock.seconds += 86_400
    assert await catalog.acquire_lease("daily", "b", 60, longest_seconds=86_400)
    assert not await catalog.acquire_lease("daily", "c", 60)
    assert await catalog.acquire_lease("mine", "a", 10)
    clock.seconds -= 86_400
    assert await catalog.acquire_lease("mine", "a", 10), "who has it renews it"


async def test_leases_that_ended_long_ago_are_forgotten(catalog: Catalog, clock: Clock) -> None:
    for name in ("list/run/1", "list/run/2", "train"):
        assert await catalog.acquire_lease(name, "a", 10)
    clock.seconds += 60
    assert await catalog.acquire_lease("train", "b", 10)
    assert await catalog.acquire_lease("new", "b", 10)
    assert await catalog.forget_leases(51) == 0
    assert await catalog.forget_leases(50) == 2
    assert not await catalog.acquire_lease("train", "a", 10) and not await catalog.acquire_lease("new", "a", 10)
    assert await catalog.acquire_lease("list/run/1", "a", 10)


async def test_keys_are_revoked_by_a_prefix_that_fits_one(catalog: Catalog) -> None:
    first = ApiKey("ab12", "one", ANN, Role.READ, 1)
    second = ApiKey("ab34", "two", BOB, Role.ADMIN, 2)
    for key in (first, second):
        await catalog.add_api_key(key)
    assert await catalog.api_keys() == [first, second]
    with pytest.raises(InvalidQuery):
        await catalog.revoke_api_key("ab")
    for prefix in ("zz", "", "%"):
        with pytest.raises(Absent):
            await catalog.revoke_api_key(prefix)
    with pytest.raises(Absent):
        await catalog.revoke_api_key("ab34", ANN)
    assert await catalog.revoke_api_key("ab", ANN) == replace(first, revoked=True)
    assert await catalog.api_keys() == [replace(first, revoked=True), second]

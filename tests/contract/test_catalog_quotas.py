"""Quotas on every backend: what is counted, what is refused, and that side by side nobody gets more than there is."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omma.catalog.given import GivenVector
from omma.catalog.inbox_object import SeenObject
from omma.catalog.interface import Catalog
from omma.catalog.picture import Change, NewPicture, PictureState
from omma.catalog.quota import OTHERS, Quota
from omma.errors import Absent, QuotaExceeded
from omma.identity import ImageId, Tenant
from tests.contract.catalogs import ANN, BOB, SPACE, one
from tests.contract.catalogs import new as plain


def new(key: str, content: str = "", bytes: int = 10) -> NewPicture:
    return replace(plain(key, content), bytes=bytes)


async def used(catalog: Catalog, tenant: Tenant = ANN) -> tuple[int, int]:
    quota = await catalog.quota(tenant)
    assert quota is not None
    return quota.pictures, quota.bytes


async def test_what_does_not_fit_is_refused_and_the_rest_is_taken(catalog: Catalog) -> None:
    await one(catalog, new("before", bytes=10))
    assert await catalog.quota(ANN) is None
    assert await catalog.set_quota(ANN, 3, 100) == Quota(ANN, 3, 100, 1, 10)
    wanted = [new("big", bytes=91), new("a", bytes=40), new("b", bytes=50), new("c", bytes=0)]
    changes = [answer.change for answer in await catalog.upsert(ANN, wanted)]
    assert sorted(changes) == [Change.CREATED, Change.CREATED, Change.OVER_QUOTA, Change.OVER_QUOTA]
    pictures, size = await used(catalog)
    assert pictures == 3 and size <= 100
    assert (await catalog.upsert(BOB, wanted))[0].change is Change.CREATED
    again = await catalog.upsert(ANN, [new("before", bytes=10)])
    assert again[0].change is Change.SAME  # costs nothing
    larger = await catalog.upsert(ANN, [new("before", "more", bytes=10**6)])
    assert larger[0].change is Change.OVER_QUOTA
    assert (await catalog.picture(ANN, again[0].id)).bytes == 10


async def test_counts_are_right_through_deletes_restores_changes_and_erasing(catalog: Catalog) -> None:
    await catalog.set_quota(ANN, None, 1_000)
    a, b = [(await one(catalog, new(name, bytes=size))).id for name, size in (("a", 100), ("b", 30))]
    assert await used(catalog) == (2, 130)
    await catalog.delete(ANN, [a])
    assert await used(catalog) == (1, 30)
    await catalog.restore(ANN, a, 60.0)
    assert await used(catalog) == (2, 130)
    await one(catalog, new("b", "other", bytes=31))
    assert await used(catalog) == (2, 131)
    await catalog.delete(ANN, [a])
    await catalog.set_quota(ANN, 1, None)
    with pytest.raises(QuotaExceeded) as raised:
        await catalog.restore(ANN, a, 60.0)
    assert (raised.value.limit, raised.value.field) == (1, "pictures")
    await catalog.erase(ANN, [b])
    assert await used(catalog) == (0, 0)


async def test_others_limits_are_those_of_whoever_has_none(catalog: Catalog) -> None:
    await one(catalog, new("before", bytes=10))
    await catalog.set_quota(OTHERS, 2, None)
    await catalog.set_quota(BOB, 1, None)
    assert await catalog.quota(ANN) == Quota(ANN, 2, None, 1, 10)
    for tenant, takes in ((ANN, 1), (BOB, 1)):
        answers = await catalog.upsert(tenant, [new("x"), new("y")])
        assert sum(answer.change is Change.CREATED for answer in answers) == takes
    assert [quota.tenant for quota in await catalog.quotas()] == [OTHERS, BOB]
    await catalog.set_quota(OTHERS, 3, None)
    assert (await catalog.upsert(ANN, [new("z")]))[0].change is Change.CREATED
    await catalog.remove_quota(OTHERS)
    assert await catalog.quota(ANN) is None
    await catalog.remove_quota(BOB)
    with pytest.raises(Absent):
        await catalog.remove_quota(BOB)


async def test_side_by_side_nobody_gets_more_than_there_is(catalog: Catalog) -> None:
    await catalog.set_quota(ANN, 10, None)
    answers = await asyncio.gather(
        *(catalog.upsert(ANN, [new(f"{turn} {number}") for number in range(3)]) for turn in range(8)),
        *(catalog.upsert(ANN, [new("the same")]) for _ in range(4)),
    )
    taken = {answer.id for made in answers for answer in made if answer.change is not Change.OVER_QUOTA}
    assert len(taken) == 10 == (await used(catalog))[0]


async def test_a_quota_that_is_set_while_others_write_counts_them(catalog: Catalog) -> None:
    writers = [catalog.upsert(ANN, [new(f"picture {number}", bytes=7)]) for number in range(20)]
    await asyncio.gather(*writers[:10], catalog.set_quota(ANN, 1_000, None), *writers[10:])
    assert await used(catalog) == (20, 140)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["upsert", "delete", "restore", "limit"]), st.integers(0, 4), st.integers(0, 60)),
        max_size=25,
    )
)
async def test_whatever_happens_what_is_counted_is_what_is_there(
    catalog: Catalog, steps: list[tuple[str, int, int]]
) -> None:
    tenant = Tenant(f"t{abs(hash(tuple(steps)))}")
    await catalog.set_quota(tenant, 3, 100)
    for step, number, size in steps:
        found = {p.key: p for p in (await catalog.find_pictures(tenant, f"k{number}"))}
        there = found.get(f"k{number}")
        if step == "upsert":
            await catalog.upsert(tenant, [new(f"k{number}", f"{size}", bytes=size)])
        elif step == "delete" and there is not None:
            await catalog.delete(tenant, [ImageId(there.id)])
        elif step == "restore" and there is not None:
            with suppress(Absent, QuotaExceeded):
                await catalog.restore(tenant, there.id, 3_600.0)
        elif step == "limit":
            await catalog.set_quota(tenant, number, size * 3)
        every = (await catalog.list_pictures(tenant, None, None, 100)).pictures
        live = [one for one in every if one.state is not PictureState.DELETED]
        assert await used(catalog, tenant) == (len(live), sum(one.bytes for one in live))


async def test_an_object_that_does_not_fit_leaves_nothing_and_is_taken_once_there_is_room(catalog: Catalog) -> None:
    """What the inbox hears of, and what a bucket's listing finds."""
    await catalog.set_quota(ANN, 1, None)
    seen = [SeenObject(key, "0001", new(f"s3://inbox/{key}")) for key in ("a.jpg", "b.jpg")]
    changes = [answer.change for answer in await catalog.follow_objects(ANN, "inbox", seen)]
    assert sorted(changes) == [Change.CREATED, Change.OVER_QUOTA]
    refused = seen[changes.index(Change.OVER_QUOTA)]
    assert refused.key not in await catalog.known_objects(ANN, "inbox", [one.key for one in seen])
    assert await used(catalog) == (1, 10)
    await catalog.set_quota(ANN, 2, None)
    (taken,) = await catalog.follow_objects(ANN, "inbox", [refused])
    assert taken.change is Change.CREATED and await used(catalog) == (2, 20)


async def test_given_vectors_count_as_pictures(catalog: Catalog) -> None:
    """A list of vectors that had room when it came, and has not by now."""
    await catalog.register_space(SPACE)
    await catalog.set_quota(ANN, 1, None)
    rows = []
    for number in range(2):
        given = GivenVector(SPACE.id, bytes([number]) * 2 * SPACE.dim)
        rows.append(NewPicture(f"v{number}", given.sha256, "omma:given", len(given.content), given=given))
    changes = await catalog.upsert(ANN, rows)
    assert sorted(answer.change for answer in changes) == [Change.CREATED, Change.OVER_QUOTA]
    left = [answer.id for answer in changes if answer.change is Change.CREATED]
    assert len(await catalog.given_vectors(left)) == 1 and (await used(catalog))[0] == 1

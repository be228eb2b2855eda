"""Rows of vectors that callers computed: of one space, in place of no picture."""

import dataclasses

import numpy as np
import pytest

from omma.catalog.given import GivenVector
from omma.catalog.interface import Catalog
from omma.catalog.picture import Change, DeletedBy, Embedded, NewPicture, PictureChange, PictureState
from omma.errors import InvalidQuery
from omma.index import IndexState
from omma.space import Space, SpaceId
from tests.clock import Clock
from tests.contract.catalogs import ANN, INDEX, SPACE, new, one

OWN = Space(SpaceId("products"), "", "1" * 64, 4)


def given(key: str, *numbers: float, space: str = "products") -> NewPicture:
    vector = GivenVector(space, np.array(numbers, "<f2").tobytes())
    return NewPicture(key, vector.sha256, f"vector:{vector.sha256}", len(vector.content), given=vector)


async def register(catalog: Catalog) -> None:
    own = dataclasses.replace(INDEX, id="products.1", space=OWN.id, state=IndexState.STANDBY)
    live = dataclasses.replace(INDEX, state=IndexState.LIVE)
    for space, index in ((SPACE, live), (OWN, own)):
        await catalog.register_space(space)
        await catalog.register_index(index)


async def test_a_row_has_its_vector_and_the_same_again_changes_nothing(catalog: Catalog) -> None:
    made = await one(catalog, given("a", 1, 0, 0, 0))
    assert made.change is Change.CREATED and (await catalog.picture(ANN, made.id)).space == "products"
    assert await catalog.given_vectors([made.id]) == {made.id: given("a", 1, 0, 0, 0).given}
    assert (await one(catalog, given("a", 1, 0, 0, 0))).change is Change.SAME
    other = await one(catalog, given("a", 0, 1, 0, 0))
    assert (other.id, other.version, other.change) == (made.id, 2, Change.CHANGED)
    assert await catalog.given_vectors([made.id]) == {made.id: given("a", 0, 1, 0, 0).given}
    assert await catalog.live_keys(ANN, ["a", "b"]) == {"a": "products"}


async def test_a_vector_never_takes_the_place_of_what_is_alive(catalog: Catalog) -> None:
    await one(catalog, new("picture"))
    await one(catalog, given("vector", 1, 0, 0, 0))
    for taken in (given("picture", 1, 0, 0, 0), given("vector", 1, 0, 0, 0, space="other")):
        with pytest.raises(InvalidQuery, match="delete that first"):
            await catalog.upsert(ANN, [given("fresh", 0, 0, 0, 1), taken])
    assert await catalog.live_keys(ANN, ["fresh"]) == {}, "nothing of the call was written"
    replaced = await one(catalog, new("vector"))
    assert replaced.change is Change.CHANGED and (await catalog.picture(ANN, replaced.id)).space == ""
    assert await catalog.given_vectors([replaced.id]) == {}


async def test_what_its_own_space_learned_is_the_rows_state(catalog: Catalog) -> None:
    await register(catalog)
    vector, picture = await one(catalog, given("v", 1, 0, 0, 0)), await one(catalog, new("p"))

    async def states() -> list[PictureState]:
        rows = await catalog.pictures([vector.id, picture.id])
        return [rows[made.id].state for made in (vector, picture)]

    await catalog.record_embedded(OWN.id, [Embedded(made.id, made.version, 0, 0, None) for made in (vector, picture)])
    assert await states() == [PictureState.INDEXED, PictureState.PENDING]
    await catalog.record_embedded(SPACE.id, [Embedded(picture.id, picture.version, 5, 4, 1)])
    await catalog.record_dead(vector.id, vector.version, "not its business", SPACE.id)
    assert await states() == [PictureState.INDEXED, PictureState.INDEXED]
    vector = await catalog.change(ANN, vector.id, PictureChange(owner="x"))
    await catalog.record_dead(vector.id, vector.version, "gone", OWN.id)
    assert await states() == [PictureState.DEAD, PictureState.INDEXED]


async def test_rows_are_counted_with_or_without_those_of_other_spaces(catalog: Catalog) -> None:
    await register(catalog)
    vector, picture = await one(catalog, given("v", 1, 0, 0, 0)), await one(catalog, new("p"))
    await catalog.record_embedded(OWN.id, [Embedded(vector.id, vector.version, 0, 0, None)])
    await catalog.record_embedded(SPACE.id, [Embedded(picture.id, picture.version, 5, 4, 1)])
    counted = [(await catalog.counts(space))["indexed"] for space in ("", OWN.id, SPACE.id)]
    assert counted == [2, 2, 1]


async def test_comparisons_see_of_which_space_a_row_is(catalog: Catalog) -> None:
    vector, picture = await one(catalog, given("v", 1, 0, 0, 0)), await one(catalog, new("p"))
    seen = {row.id: row.space async for row in catalog.rows_of_buckets(0, 2**15 - 1)}
    assert seen == {vector.id: "products", picture.id: ""}


async def test_a_vector_stays_as_long_as_it_can_be_restored(catalog: Catalog, clock: Clock) -> None:
    made, other = await one(catalog, given("v", 1, 0, 0, 0)), await one(catalog, given("w", 0, 1, 0, 0))
    await catalog.delete(ANN, [made.id, other.id], by=DeletedBy.CALLER)
    assert await catalog.given_vectors([made.id]) and await catalog.live_keys(ANN, ["v"]) == {}
    await catalog.restore(ANN, made.id, 60)
    await catalog.delete(ANN, [made.id])
    await catalog.expire_deleted(0, 100)
    assert await catalog.given_vectors([made.id, other.id]) == {}
    back = await one(catalog, given("v", 0, 0, 1, 0))
    assert back.id == made.id and await catalog.given_vectors([made.id])
    await catalog.erase(ANN, [made.id])
    assert await catalog.given_vectors([made.id]) == {}

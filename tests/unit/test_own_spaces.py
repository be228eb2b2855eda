"""A space of one's own is made once; what is retired does not answer for it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import OmmaError, WrongState
from omma.index import Index, IndexId, IndexState
from omma.space import Space, SpaceId
from services.gateway.rollouts.rollouts import Candidates, Place
from services.gateway.vector_lists import OwnSpaces


class Book:
    """As much of a catalog as a space needs."""

    def __init__(self) -> None:
        self.of: dict[str, Index] = {}

    async def indexes(self) -> list[Index]:
        return list(self.of.values())

    async def register_space(self, space: Space, index: Index | None = None) -> None:
        if index is not None:
            self.of[index.id] = index


class Places:
    """Each space has its shards under one name of an index."""

    def __init__(self) -> None:
        self.number = 1

    async def place_space(self, space: Space) -> Any:
        return Place(f"{space.id}.{self.number}", 1)


@pytest.mark.parametrize("state", [state for state in IndexState if state is not IndexState.RETIRED])
async def test_made_again_it_is_the_same(state: IndexState) -> None:
    book = Book()
    spaces = OwnSpaces(cast(Any, book), cast(Candidates, Places()))
    space, index = await spaces.create("products", 12)
    book.of[index.id] = replace(index, state=state)
    assert await spaces.create("products", 12) == (space, book.of[index.id])


async def test_what_is_retired_does_not_answer() -> None:
    book, places = Book(), Places()
    spaces = OwnSpaces(cast(Any, book), cast(Candidates, places))
    _, index = await spaces.create("products", 12)
    book.of[index.id] = replace(index, state=IndexState.RETIRED)
    with pytest.raises(WrongState) as refused:
        await spaces.create("products", 12)
    assert refused.value.field == "name" and index.id in refused.value.detail
    places.number = 2
    _, another = await spaces.create("products", 12)
    assert (another.id, another.state) == ("products.2", IndexState.STANDBY)


ANOTHER = Space(SpaceId("another"), "model@1.0.0", "f" * 64, 7)
REFUSED = {
    "its index is of another space": ("own", 5),
    "its place is not there": ("nowhere", 5),
    "another dimension than before": ("kept", 6),
    "an index of it that is retired": ("retired", 5),
    "the name of a model's space": (ANOTHER.id, 7),
    "no name": ("No Name", 5),
    "no dimension": ("fresh", 1),
}


class SomePlaces(Places):
    async def place_space(self, space: Space) -> Any:
        if space.id == "nowhere":
            raise WrongState("Its shards have no place.", field="name")
        return await super().place_space(space)


class Looked:
    """A catalog whose indexes were looked at before they were there."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def indexes(self) -> list[Index]:
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    await catalog.register_space(ANOTHER)
    for state, name in zip(IndexState, ("own.1", "a.1", "b.1", "c.1", "d.1", "e.1"), strict=True):
        await catalog.register_index(Index(IndexId(name), ANOTHER.id, "Flat", 1, state))
    retired = replace(ANOTHER, id=SpaceId("retired"))
    await catalog.register_space(retired, Index(IndexId("retired.1"), retired.id, "Flat", 1, IndexState.RETIRED))
    await OwnSpaces(catalog, cast(Candidates, Places())).create("kept", 5)
    yield catalog
    await catalog.close()


@pytest.mark.parametrize("looked_before", [False, True])
@pytest.mark.parametrize("why", REFUSED)
async def test_what_is_refused_changes_nothing(catalog: Catalog, why: str, looked_before: bool) -> None:
    """looked_before: what clashes came between looking and writing."""
    name, dim = REFUSED[why]
    before = await catalog.spaces(), await catalog.indexes(), await catalog.routing()
    asked = cast(Catalog, Looked(catalog)) if looked_before else catalog
    with pytest.raises(OmmaError) as refused:
        await OwnSpaces(asked, cast(Candidates, SomePlaces())).create(name, dim)
    assert (await catalog.spaces(), await catalog.indexes(), await catalog.routing()) == before
    assert "=" not in refused.value.detail and "<" not in refused.value.detail, refused.value.detail


@pytest.mark.parametrize("taken", ["own.1", "a.1", "b.1", "c.1", "d.1", "e.1"])
async def test_a_name_that_was_refused_is_free(catalog: Catalog, taken: str) -> None:
    places = Places()
    spaces = OwnSpaces(catalog, cast(Candidates, places))
    name = taken.removesuffix(".1")
    with pytest.raises(WrongState, match=f"Index {taken} of space 'another'") as refused:
        await spaces.create(name, 5)
    assert refused.value.field == "name"
    places.number = 2
    space, index = await spaces.create(name, 9)
    assert (space.dim, index.id) == (9, f"{name}.2")

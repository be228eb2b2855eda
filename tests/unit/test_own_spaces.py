"""A space of one's own is made once; what is retired does not answer for it."""

from dataclasses import replace
from typing import Any, cast

import pytest

from omma.errors import WrongState
from omma.index import Index, IndexState
from omma.space import Space
from services.gateway.rollouts.rollouts import Candidates, Place
from services.gateway.vector_lists import OwnSpaces


class Book:
    """As much of a catalog as a space needs."""

    def __init__(self) -> None:
        self.of: dict[str, Index] = {}

    async def indexes(self) -> list[Index]:
        return list(self.of.values())

    async def register_space(self, space: Space) -> None:
        pass

    async def register_index(self, index: Index) -> None:
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

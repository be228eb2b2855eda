"""Whether anything like what was sought is there: words that say nothing, the index's own score."""

from dataclasses import replace
from typing import Any

import pytest

from omma.blobs.originals import Originals
from omma.errors import (
    InvalidQuery,
)
from omma.identity import Tenant
from omma.rollouts.rollout import Routing
from omma.v1 import search_pb2
from services.egs.client import ImageItem, TextItem
from services.gateway.grpc.wire import answer_to_wire, query_from_wire
from services.gateway.search.query import (
    SearchQuery,
    SoughtPicture,
    SoughtWords,
)
from tests.unit.search_world import (
    ANN,
    SeedEmbedder,
    World,
)


@pytest.fixture
def world(originals: Originals) -> World:
    return World(originals)


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

"""What an entry of the topology says of FAISS reaches the index that is made there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.rollouts.asked import RolloutRequest
from omma.space import Space, SpaceId
from services.gateway.rollouts.candidates import TopologyCandidates
from services.gateway.vector_lists import OwnSpaces
from services.topology.connections import Connections
from services.topology.file import TopologyFile
from services.topology.registration import live_index

EIGHT_BITS = "IVF64,PQ8x8"
MODEL = Space(SpaceId("m-1-0"), "m@1.0.0", "0" * 64, 8)
TOPOLOGY = f"""
indexes:
  - {{index: next, model: m, egs: 'e:1', shards: [['a:1']], factory: '{EIGHT_BITS}'}}
  - {{index: own, space: products, shards: [['b:1']], factory: '{EIGHT_BITS}'}}
"""


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = await open_sqlite_catalog(tmp_path / "catalog.db")
    yield opened
    await opened.close()


@pytest.fixture
def candidates(tmp_path: Path) -> TopologyCandidates:
    path = tmp_path / "topology.yaml"
    path.write_text(TOPOLOGY)
    return TopologyCandidates(TopologyFile(path), Connections(None, knock=_answers))


async def _answers(host: str, port: int) -> bool:
    return (host, port) == ("a", 1)


@pytest.mark.parametrize(("said", "made"), [("", DEFAULT_FACTORY), (EIGHT_BITS, EIGHT_BITS)])
async def test_the_first_index_of_a_catalog(catalog: Catalog, said: str, made: str) -> None:
    assert (await live_index(catalog, MODEL, 1, "main", said)).factory == made
    assert (await live_index(catalog, MODEL, 1, "main", "IVF8,PQ8x8")).factory == made, "it keeps what it was made with"


async def test_a_candidate(candidates: TopologyCandidates) -> None:
    control = Index(IndexId("main"), MODEL.id, DEFAULT_FACTORY, 1, IndexState.LIVE)
    place = await candidates.place(RolloutRequest(model="m@1.0.0"), MODEL, control, [control])
    assert (place.index, place.factory) == ("next", EIGHT_BITS)


async def test_a_space_whose_vectors_callers_bring(catalog: Catalog, candidates: TopologyCandidates) -> None:
    _, index = await OwnSpaces(catalog, candidates).create("products", 8)
    assert (index.id, index.factory) == ("own", EIGHT_BITS)

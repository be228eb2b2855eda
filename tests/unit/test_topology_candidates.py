"""A rollout that the topology has no true place for is refused before anything is begun."""

from pathlib import Path

import pytest

from omma.errors import OmmaError, WrongState
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.rollouts.asked import RolloutRequest
from omma.rollouts.preflight import Room, preflight
from omma.space import Space, SpaceId
from services.gateway.rollouts.candidates import TopologyCandidates
from services.topology.connections import Connections
from services.topology.file import TopologyFile

MODEL = Space(SpaceId("m-1-0"), "m@1.0.0", "0" * 64, 8)
CONTROL = Index(IndexId("main"), MODEL.id, DEFAULT_FACTORY, 1, IndexState.LIVE)
MAIN = "{index: main, model: m@1.0.0, egs: 'e:1', shards: [['a:1']]}"
WIDE = "{index: wide, model: m@1.0.0, egs: 'e:1', shards: [['a:2'], ['b:2', 'b:3'], ['c:4']]}"


def written(path: Path, *entries: str) -> None:
    path.write_text("".join(["indexes:\n", *(f"  - {one}\n" for one in entries)]))


@pytest.fixture
def file(tmp_path: Path) -> TopologyFile:
    written(tmp_path / "topology.yaml", MAIN, WIDE)
    return TopologyFile(tmp_path / "topology.yaml")


async def refused(file: TopologyFile, *answering: tuple[str, int]) -> OmmaError:
    async def knock(host: str, port: int) -> bool:
        return (host, port) in answering

    candidates = TopologyCandidates(file, Connections(None, knock=knock))
    with pytest.raises(WrongState) as raised:
        await candidates.place(RolloutRequest(index="wide", shards=3), MODEL, CONTROL, [CONTROL])
    return raised.value


async def test_a_shard_that_is_absent_is_named(file: TopologyFile) -> None:
    error = await refused(file, ("a", 2), ("b", 3))
    assert error.field == "shards" and "At c:4, where" in error.detail
    error = await refused(file, ("c", 4))
    assert "At a:2 and b:2, b:3, where" in error.detail


async def test_where_a_replica_of_each_shard_answers_it_has_a_place(file: TopologyFile) -> None:
    async def knock(host: str, port: int) -> bool:
        return (host, port) != ("b", 2)

    candidates = TopologyCandidates(file, Connections(None, knock=knock))
    place = await candidates.place(RolloutRequest(index="wide", shards=3), MODEL, CONTROL, [CONTROL])
    assert (place.index, place.shards) == ("wide", 3)


async def test_a_file_that_is_refused_begins_nothing(file: TopologyFile, tmp_path: Path) -> None:
    for entries, said in (((MAIN, MAIN), "two indexes"), ((MAIN, WIDE.replace("['c:4']", "[]")), "shard 2 is absent")):
        written(tmp_path / "topology.yaml", *entries)
        error = await refused(file, ("a", 2), ("b", 2), ("c", 4))
        assert error.field == "OMMA_TOPOLOGY" and said in error.detail


def test_what_cannot_fit_is_refused_with_what_is_left() -> None:
    takes = preflight(1_000_000, 512, new_space=True)
    takes.require(Room())
    takes.require(Room(takes.disk_bytes, takes.memory_bytes))
    for room, field in (
        (Room(takes.disk_bytes - 1, None), "disk"),
        (Room(takes.disk_bytes, takes.memory_bytes - 1), "memory"),
    ):
        with pytest.raises(WrongState) as raised:
            takes.require(room)
        assert raised.value.field == field and raised.value.limit in (room.disk_bytes, room.memory_bytes)

"""The topology: what a document may say, that it is followed, and that what disagrees with the catalog has no place."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.catalog.interface import Catalog
from omma.errors import ReplicaDown, WrongState
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.rollouts.rollout import Routing
from omma.space import Space, SpaceId
from services.topology.connections import Connections
from services.topology.document import MAX_BYTES, parsed
from services.topology.file import TopologyFile, open_topology
from services.topology.indexes import PlacedIndex
from services.topology.places import Places, shards_only

SPACE = Space(SpaceId("m-1-0"), "m@1.0.0", "0" * 64, 8)
MAIN = "{index: main, model: m@1.0.0, egs: 'e:1', shards: [['a:1', 'b:1'], ['c:1']]}"
OWN = "{index: own, space: products, shards: [['d:1']]}"
NEXT = "{index: next, model: m, egs: 'e:1', shards: 'next-{shard}:9'}"


def document(*entries: str) -> bytes:
    return "".join(["indexes:\n", *(f"  - {one}\n" for one in entries)]).encode()


def test_a_document_says_where_each_index_is() -> None:
    topology = parsed(document(MAIN, NEXT))
    main, pattern = topology.indexes
    assert (main.numbered, main.named(0), main.named(1)) == (2, ("a:1", "b:1"), ("c:1",))
    assert (pattern.numbered, pattern.named(3)) == (None, ("next-3:9",))
    assert (main.is_of("m@1.0.0"), main.is_of("m@2.0.0"), pattern.is_of("m@2.0.0")) == (True, False, True)
    assert topology.entry("next") is pattern and topology.entry("other") is None
    made = parsed(document(MAIN.replace("egs:", "factory: 'IVF64,PQ64x8', egs:"))).indexes[0]
    assert (made.factory, main.factory) == ("IVF64,PQ64x8", "")
    own, products = parsed(document(OWN)).indexes[0], Space(SpaceId("products"), "", "0" * 64, 8)
    assert (own.fits(products), own.fits(SPACE), main.fits(products), main.fits(SPACE)) == (True, False, False, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (document(MAIN, MAIN), "two indexes are called 'main'"),
        (document(MAIN.replace("['c:1']", "[]")), "indexes.0.shards: shard 1 is absent"),
        (document(MAIN.replace("['c:1']", "null")), "indexes.0.shards: shard 1 is absent"),
        (document(MAIN.replace("'c:1'", "'a:1'")), "indexes.0.shards: a:1 is there twice"),
        (document(MAIN.replace("'c:1'", "'c'")), "'c' is not host:port"),
        (document(MAIN.replace("'c:1'", "'c:70000'")), "'c:70000' is not host:port"),
        (document(MAIN.replace("egs: 'e:1', ", "")), "indexes.0: model and egs say what embeds"),
        (document(OWN.replace("space: products", "space: products, model: m")), "it has neither model nor egs"),
        (document(OWN.replace("space: products, ", "")), "or space, where callers bring the vectors"),
        (document(MAIN.replace("egs", "eggs")), "indexes.0.eggs: no such field"),
        (document(NEXT.replace("{shard}", "0")), "indexes.0.shards: a pattern has {shard} once"),
        (document(NEXT.replace("next-{shard}:9", "{shard}-{shard}:9")), "a pattern has {shard} once"),
        (document(MAIN.replace("]}", "], count: 3}")), "count is 3 and 2 shards are listed"),
        (document(MAIN.replace("main", "a/b")), "indexes.0.index"),
        (document(MAIN.replace("egs:", "factory: Flat, egs:")), "indexes.0.factory"),
        (document(MAIN, OWN.replace("d:1", "c:1")), "c:1 is there twice: a shard of main and of own"),
        (document(MAIN, NEXT, NEXT.replace("index: next", "index: other")), "next-0:9 is there twice"),
        (document(NEXT.replace("egs:", "count: 3, egs:"), MAIN.replace("c:1", "next-2:9")), "next-2:9 is there twice"),
        (document("{index: a, index: b}"), "'index' is there twice"),
        (document(MAIN) + document(NEXT), "'indexes' is there twice"),
        (document(NEXT.replace("egs:", "count: true, egs:")), "indexes.0.count: Input should be a valid integer"),
        (document(NEXT.replace("egs:", "count: 2.0, egs:")), "indexes.0.count: Input should be a valid integer"),
        (document(NEXT.replace("egs:", "count: 257, egs:")), "less than or equal to 256"),
        (document(MAIN.replace("main", "2026-13-01")), "no YAML: month must be in 1..12"),
        (document(MAIN.replace("main", "9" * 5_000)), "no YAML: Exceeds the limit"),
        (b"", "Input should be"),
        (b"[1]", "Input should be"),
        (b"indexes: {", "no YAML"),
        (b"indexes: !!python/object/apply:os.system ['true']", "no YAML"),
        (b"\xff\xfe\x00", "no YAML"),
        (b"#" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_a_bad_document_is_refused_with_what_is_wrong_in_it(content: bytes, said: str) -> None:
    with pytest.raises(WrongState) as refused:
        parsed(content)
    assert said in refused.value.detail and refused.value.field == "OMMA_TOPOLOGY"


def test_an_embedder_may_serve_two_indexes_and_a_merge_is_no_key_twice() -> None:
    merged = b"indexes:\n- &main {index: main, model: m, egs: 'e:1', shards: [['a:1']]}\n"
    merged += b"- {<<: *main, index: next, shards: [['b:1']]}\n"
    for content in (document(MAIN, NEXT), merged):
        assert [one.egs for one in parsed(content).indexes] == ["e:1", "e:1"]


ODD = (
    *("2026-13-01", "0001-01-01t00:00:00+23:00", "9" * 5_000, "0x" + "f" * 5_000, "1:2:3", "-0b", "1e999", ".inf"),
    *("!!timestamp x", "!!int ''", "!!float x", "!!bool x", "!!binary x", "!!set {a}", "!!omap [a: 1]", "!!pairs x"),
    *("!!map [a]", "!!seq {a: b}", "!!str {a: b}", "!!python/name:os.system", "&a [*a]", "*a", "<<: 1", "? [a]\n: b"),
    *(
        "{{}: 1}",
        '{"\\ud800": 1}',
        '"\\ud800"',
        "{2026-01-01: 1}",
        "{~: 1}",
        "null",
        "true",
        "[",
        "}",
        "'",
        "\0",
        "---",
    ),
    *("%YAML 9.9\n---\n", "=", "\u2028", "{0x" + "f" * 5_000 + ": 1}", "[" * 5_000),
)
PLACES = st.sampled_from(["main", "m@1.0.0", "'e:1'", "'a:1'", "['c:1']", "index", "shards", "indexes", "next", "- "])


@given(st.lists(st.tuples(PLACES, st.sampled_from(ODD) | st.text(max_size=9)), min_size=1, max_size=3))
def test_whatever_the_file_holds_the_last_good_content_counts(changes: list[tuple[str, str]]) -> None:
    content = document(MAIN, NEXT)
    for old, new in changes:
        content = content.replace(old.encode(), new.encode("utf-8", "replace"), 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "topology.yaml"
        path.write_bytes(document(MAIN))
        followed = TopologyFile(path)
        before = followed.topology
        path.write_bytes(content)
        asyncio.run(followed.look())
        assert (followed.topology is before) == bool(followed.fault)
        assert len(followed.fault.encode()) < 2_000


def test_either_a_topology_or_the_settings_of_one_index_say_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "topology.yaml").write_bytes(document(MAIN))
    assert open_topology(None, {"OMMA_X__EGS": "e:1"}) is None
    assert open_topology(tmp_path / "topology.yaml", {"OMMA_X__EGS": ""}) is not None
    for path, fixed, said in [
        (None, {"OMMA_X__EGS": "e:1", "OMMA_X__SHARDS": ()}, "Say where the indexes are"),
        (tmp_path / "topology.yaml", {"OMMA_X__EGS": "e:1"}, "both say"),
        (tmp_path / "none.yaml", {"OMMA_X__EGS": ""}, "cannot be read"),
    ]:
        with pytest.raises(WrongState, match=said):
            open_topology(path, fixed)


async def test_a_file_is_followed_and_the_last_good_one_stays(tmp_path: Path) -> None:
    """As Kubernetes changes a ConfigMap: a symlink is swapped for another."""
    for name, content in (("1", document(MAIN)), ("2", document(MAIN, NEXT)), ("3", document(MAIN, MAIN))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "topology.yaml").write_bytes(content)

    def swap(to: str) -> None:
        (tmp_path / "new").symlink_to(to)
        (tmp_path / "new").replace(tmp_path / "data")

    swap("1")
    file = TopologyFile(tmp_path / "data" / "topology.yaml")
    for to, names, fault in [
        ("2", ["main", "next"], ""),
        ("3", ["main", "next"], "two indexes"),
        ("none", ["main", "next"], "cannot be read"),
        ("2", ["main", "next"], ""),
        ("1", ["main"], ""),
    ]:
        swap(to)
        await file.look()
        assert [one.index for one in file.topology.indexes] == names
        assert fault in file.fault and bool(fault) == bool(file.fault)


class FewIndexes:
    """A catalog of which only the routing is asked."""

    def __init__(self, *indexes: Index) -> None:
        self.indexes = indexes
        self.away = False

    async def routing(self) -> Routing:
        if self.away:
            raise ReplicaDown("away")
        return Routing(1, self.indexes)

    async def routing_epoch(self) -> int:
        return (await self.routing()).epoch

    async def spaces(self) -> list[Space]:
        return [SPACE]


def index(name: str, state: IndexState = IndexState.LIVE, shards: int = 2) -> Index:
    return Index(IndexId(name), SPACE.id, DEFAULT_FACTORY, shards, state)


class World:
    def __init__(self, folder: Path, catalog: FewIndexes, *entries: str) -> None:
        self.path = folder / "topology.yaml"
        self.now = 0.0
        self.resolved: dict[str, Sequence[str]] = {}
        self.write(*entries)
        self.connections = Connections(None, resolve=self._resolve, clock=lambda: self.now)
        self.places: Places[PlacedIndex] = Places(
            TopologyFile(self.path), cast(Catalog, catalog), self.connections, shards_only
        )

    def write(self, *entries: str) -> None:
        self.path.write_bytes(document(*entries))

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        if host not in self.resolved:
            raise OSError("no such host")
        return self.resolved[host]

    async def look(self) -> tuple[dict[str, list[int]], dict[str, Any]]:
        """Replicas of each shard of what is placed, and why the others are not."""
        found = await self.places.look()
        return {name: [len(one) for one in placed.shards] for name, placed in found.placed.items()}, dict(
            found.unplaced
        )


async def test_places_are_followed_and_clients_kept_while_they_are_named(tmp_path: Path) -> None:
    catalog = FewIndexes(index("main"))
    world = World(tmp_path, catalog, MAIN)
    assert await world.look() == ({"main": [2, 1]}, {})
    before = world.places.live().shards
    world.write(MAIN.replace("'c:1'", "'c:1', 'd:1'"), NEXT)
    assert await world.look() == ({"main": [2, 2]}, {})
    now = world.places.live().shards
    assert now[0] == before[0] and now[1][0] is before[1][0]
    catalog.away = True
    world.write(MAIN)
    assert await world.look() == ({"main": [2, 1]}, {}), "also while the catalog is away"
    catalog.away = False
    world.write(NEXT)
    placed, unplaced = await world.look()
    assert (placed, unplaced) == ({}, {"main": "OMMA_TOPOLOGY has no index main."})
    assert world.places.live_space() == SPACE.id
    with pytest.raises(ReplicaDown, match="no index main"):
        world.places.live()
    await world.connections.close()


async def test_what_disagrees_with_the_catalog_has_no_place(tmp_path: Path) -> None:
    catalog = FewIndexes(index("main"), index("next", IndexState.SHADOW), index("old", IndexState.RETIRED))
    world = World(tmp_path, catalog, MAIN.replace("m@1.0.0", "m@2.0.0"), NEXT, NEXT.replace("next", "old"))
    placed, unplaced = await world.look()
    assert placed == {} and unplaced == {
        "main": "OMMA_TOPOLOGY says that main is of m@2.0.0, the catalog that it is of m@1.0.0.",
        "next": "next-0:9 has no address.",
    }
    catalog.indexes = (replace(catalog.indexes[0], shards=3),)
    world.write(MAIN)
    assert (await world.look())[1] == {"main": "OMMA_TOPOLOGY has 2 shards of main, the catalog 3."}
    await world.connections.close()


async def test_every_address_of_a_pattern_is_a_replica_and_is_looked_up_again(tmp_path: Path) -> None:
    world = World(tmp_path, FewIndexes(index("next")), NEXT)
    world.resolved = {"next-0": ["10.0.0.1:9", "10.0.0.2:9"], "next-1": ["10.0.0.3:9"]}
    assert await world.look() == ({"next": [2, 1]}, {})
    world.resolved = {"next-0": ["10.0.0.2:9"]}
    assert (await world.look())[0] == {"next": [2, 1]}, "not every second"
    world.now = 10.0
    assert (await world.look())[0] == {"next": [1, 1]}, "and what is not known any more stays what it was"
    await world.connections.close()


class Egs:
    """What answers at one address; each question makes a client of its own."""

    def __init__(self) -> None:
        self.space = SPACE
        self.open = 0

    async def ask(self, address: str) -> Any:
        self.open += 1
        return _EgsClient(self, self.space)


class _EgsClient:
    def __init__(self, egs: Egs, space: Space) -> None:
        self._egs = egs
        self.space = space

    async def close(self) -> None:
        self._egs.open -= 1


async def test_an_entry_with_the_wrong_embedder_takes_it_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    egs, now = Egs(), 0.0
    connections = Connections(None, clock=lambda: now)
    monkeypatch.setattr(connections, "_ask", egs.ask)
    topology = parsed(document(MAIN, NEXT.replace("model: m", "model: other@1.0.0")))
    main, wrong = topology.indexes
    other = replace(SPACE, id=SpaceId("other-1-0"), model="other@1.0.0")
    served = await connections.embedder(main, SPACE)
    for _ in range(3):
        with pytest.raises(WrongState, match=r"e:1 is of m@1.0.0 .*, and other@1.0.0 \(other-1-0\) is needed"):
            await connections.embedder(wrong, other)
    assert await connections.embedder(main, SPACE) is served and egs.open == 1
    egs.space = other
    mended = await connections.embedder(wrong, other)
    assert mended.space == other and egs.open == 2
    now = 61.0
    assert await connections.embedder(wrong, other) is mended
    await connections.forget()
    assert egs.open == 1, "what nobody asked for is closed"
    await connections.close()
    assert egs.open == 0

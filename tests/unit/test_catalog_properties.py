"""The catalog's invariants, on random filters and random histories."""

import asyncio
import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, NewPicture, Picture, PictureChange
from omma.catalog.sqlite import open_sqlite_catalog
from omma.filters import ATTRIBUTES, And, AnyOf, Between, Filter, Not, Or, Value, canonical, parse_filter
from omma.identity import ImageId, Sha256, Tenant
from omma.records import EventKind, VectorRecord
from omma.sources import source_domain_of
from services.nn_shard.engine import SearchOptions
from tests.unit.engine_lives import clustered, far, opened, record

ANN = Tenant("ann")
QUERY = clustered(1, seed=1)

names = st.sampled_from(["n", 'a"b', "a\\b", "ä.ö", "$", ""])
texts = st.sampled_from(["", "a", "A", "b", "ä", "%", "'", '"', "1", "true"])
numbers = st.sampled_from([-1.5, 0.0, 1.0, 2.0, 1e12, 2.0**53 - 1])
whole = st.sampled_from([-2, 0, 1, 2, 2**53 - 1, 2**53, 2**53 + 1, 10**18])
flags = st.booleans()
urls = st.sampled_from(["", "https://a.org/x", "HTTPS://A.org:80/y", "b", "http://[broken"])

pictures = st.builds(
    lambda owner, tags, url, attributes: (owner, tuple(tags), url, attributes),
    texts,
    st.lists(texts.filter(bool), max_size=3),
    urls,
    st.dictionaries(
        names,
        st.one_of(texts, flags, whole, numbers, st.just(-0.0)),
        max_size=3,
    ),
)

attribute_fields = names.filter(bool).map(lambda name: ATTRIBUTES + name)


def bounds(fields: st.SearchStrategy[str]) -> st.SearchStrategy[Filter]:
    return st.one_of(
        st.builds(Between, fields, low=numbers, low_open=flags),
        st.builds(Between, fields, high=numbers, high_open=flags),
        st.builds(Between, fields, low=numbers, high=numbers, low_open=flags, high_open=flags),
    )


def any_of(fields: st.SearchStrategy[str], values: st.SearchStrategy[Value]) -> st.SearchStrategy[Filter]:
    return st.builds(AnyOf, fields, st.lists(values, min_size=1, max_size=4, unique_by=repr).map(tuple))


number_fields = st.sampled_from(["width", "height", "created_at"])
terms = st.one_of(
    any_of(st.sampled_from(["tags", "owner"]), texts),
    any_of(st.just("source"), urls),
    any_of(st.just("source_domain"), st.sampled_from(["", "a.org", "A.org"])),
    any_of(number_fields, numbers),
    any_of(attribute_fields, st.one_of(texts, numbers, flags)),
    bounds(st.one_of(number_fields, attribute_fields)),
)
filters = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def keeps(filter: Filter, picture: Picture) -> bool:
    """What a filter means, said once more in Python."""
    match filter:
        case And(parts):
            return all(keeps(part, picture) for part in parts)
        case Or(parts):
            return any(keeps(part, picture) for part in parts)
        case Not(part):
            return not keeps(part, picture)
        case AnyOf("tags", values):
            return any(tag in values for tag in picture.tags)
        case AnyOf(name, values):
            return any(same(value_of(name, picture), value) for value in values)
        case Between(name, low, high, low_open, high_open):
            value = value_of(name, picture)
            if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > sys.float_info.max:
                return False
            value = float(value)
            return (value > low if low_open else value >= low) and (value < high if high_open else value <= high)


def same(value: Any, wanted: Value) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int) and abs(value) <= sys.float_info.max:
        value = float(value)
    return bool(value == wanted)


def value_of(name: str, picture: Picture) -> Any:
    if name.startswith(ATTRIBUTES):
        return picture.attributes.get(name.removeprefix(ATTRIBUTES))
    return {
        "owner": picture.owner,
        "source": picture.source_url,
        "source_domain": source_domain_of(picture.source_url),
        "created_at": picture.created_at_ms,
        "width": picture.width,
        "height": picture.height,
    }[name]


@dataclass
class Shelf:
    """One catalog for all examples: each has a tenant of its own."""

    runner: asyncio.Runner
    catalog: Catalog
    tenants: Iterator[int]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with asyncio.Runner() as runner:
        path = tmp_path_factory.mktemp("catalog") / "catalog.db"
        catalog = runner.run(open_sqlite_catalog(path, clock=lambda: 1e9))
        yield Shelf(runner, catalog, itertools.count())
        runner.run(catalog.close())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    given_pictures=st.lists(pictures, min_size=4, max_size=12), given_filters=st.lists(filters, min_size=6, max_size=12)
)
def test_sql_and_the_engine_keep_what_the_filter_means(
    shelf: Shelf, given_pictures: list[Any], given_filters: list[Filter]
) -> None:
    shelf.runner.run(compare(shelf.catalog, Tenant(str(next(shelf.tenants))), given_pictures, given_filters))


async def compare(catalog: Catalog, tenant: Tenant, given_pictures: list[Any], given_filters: list[Filter]) -> None:
    new = [
        NewPicture(f"{i}", Sha256("0" * 64), "omma:0", 1, owner, tags, url, attributes)
        for i, (owner, tags, url, attributes) in enumerate(given_pictures)
    ]
    answers = await catalog.upsert(tenant, new)
    await catalog.record_embedded("s", [Embedded(a.id, a.version, a.id % 3, 2, 0) for a in answers])
    rows = (await catalog.list_pictures(tenant, None, None, 100)).pictures
    with tempfile.TemporaryDirectory() as folder:
        engine = opened(Path(folder))
        engine.apply([record_of(row) for row in rows])
        engine.checkpoint(engine.freeze(), {})  # a sealed segment keeps what filters came to
        for filter in given_filters:
            kept = tuple(row for row in rows if keeps(filter, row))
            page = await catalog.list_pictures(tenant, filter, None, 100)
            assert page.pictures == kept, filter
            assert page.count == len(page.pictures)
            options = SearchOptions(tenant, 100, filter=parse_filter(canonical(filter)), exact=True)
            assert set(engine.search(QUERY, options, far())[0].hits.ids.tolist()) == {row.id for row in kept}, filter


def record_of(row: Picture) -> VectorRecord:
    known = {
        "owner": row.owner,
        "tags": row.tags,
        "source_url": row.source_url,
        "attributes": dict(row.attributes),
        "created_at_ms": row.created_at_ms,
        "width": row.width,
        "height": row.height,
    }
    return record(row.id, QUERY, tenant=row.tenant, **known)


@dataclass
class Known:
    """What a picture must be, by what was answered."""

    key: str
    content: int
    owner: str = ""
    version: int = 1
    deleted: bool = False
    sent: int = 0
    kinds: list[EventKind] = field(default_factory=list)


class Histories(RuleBasedStateMachine):
    """Versions only rise, by one a change; whatever was not sent is found, as strong as it must be."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self.known: dict[ImageId, Known] = {}

    @initialize()
    def open(self) -> None:
        path = Path(self._folder.name) / "catalog.db"
        self.catalog: Catalog = self._runner.run(open_sqlite_catalog(path))

    @rule(
        keys=st.lists(st.sampled_from("abc"), max_size=3), content=st.integers(0, 1), owner=st.sampled_from(["", "x"])
    )
    def upsert(self, keys: list[str], content: int, owner: str) -> None:
        new = [NewPicture(key, Sha256(f"{content:064}"), "omma:0", 1, owner) for key in keys]
        for key, answer in dict(zip(keys, self._runner.run(self.catalog.upsert(ANN, new)), strict=True)).items():
            known = self.known.setdefault(answer.id, Known(key, content, owner, version=0))
            assert known.key == key
            said = owner if known.deleted else owner or known.owner  # left empty it stays as it was
            if known.version == 0 or known.deleted or known.content != content:
                self._changed(known, EventKind.UPSERT)
            elif known.owner != said:
                self._changed(known, EventKind.ATTRIBUTES)
            known.content, known.owner, known.deleted = content, said, False
            assert answer.version == known.version

    @rule(place=st.integers(0, 2), owner=st.sampled_from(["", "x", "y"]))
    def change(self, place: int, owner: str) -> None:
        live = [(i, known) for i, known in self.known.items() if not known.deleted]
        if place < len(live):
            image_id, known = live[place]
            answer = self._runner.run(self.catalog.change(ANN, image_id, PictureChange(owner=owner)))
            if known.owner != owner:
                self._changed(known, EventKind.ATTRIBUTES)
            known.owner = owner
            assert answer.version == known.version

    @rule(place=st.integers(0, 2))
    def delete(self, place: int) -> None:
        ids = list(self.known)[place : place + 1]
        answers = self._runner.run(self.catalog.delete(ANN, ids))
        for image_id in ids:
            known = self.known[image_id]
            assert len(answers) == (not known.deleted)
            if not known.deleted:
                self._changed(known, EventKind.DELETE)
                known.deleted = True

    @rule()
    def send(self) -> None:
        events = self._runner.run(self.catalog.unsent(2))
        self._runner.run(self.catalog.mark_sent(events))
        for event in events:
            self.known[event.image_id].sent = event.version
            self.known[event.image_id].kinds.clear()

    @rule()
    def restart(self) -> None:
        self._runner.run(self.catalog.close())
        self.open()

    @invariant()
    def unsent_is_known(self) -> None:
        if not hasattr(self, "catalog"):
            return
        events = {event.image_id: event for event in self._runner.run(self.catalog.unsent(100))}
        waiting = {i: known for i, known in self.known.items() if known.sent < known.version}
        assert {i: event.version for i, event in events.items()} == {i: k.version for i, k in waiting.items()}
        for image_id, known in waiting.items():
            wanted = known.kinds[-1]
            if wanted is EventKind.ATTRIBUTES and EventKind.UPSERT in known.kinds:
                wanted = EventKind.UPSERT
            assert events[image_id].kind is wanted
        rows = self._runner.run(self.catalog.pictures(list(self.known)))
        assert {i: (row.version, row.owner) for i, row in rows.items()} == {
            i: (known.version, known.owner) for i, known in self.known.items()
        }

    def teardown(self) -> None:
        if hasattr(self, "catalog"):
            self._runner.run(self.catalog.close())
        self._runner.close()
        self._folder.cleanup()

    def _changed(self, known: Known, kind: EventKind) -> None:
        known.version += 1
        known.kinds.append(kind)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)

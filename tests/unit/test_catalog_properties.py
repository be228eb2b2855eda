"""The catalog's invariants, on random filters and random histories."""

import asyncio
import itertools
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
from omma.catalog.picture import NewPicture, PictureChange
from omma.catalog.sqlite import open_sqlite_catalog
from omma.filters import Filter
from omma.identity import ImageId, Sha256, Tenant
from omma.records import EventKind
from tests.unit.filter_meaning import compare, filters, pictures

ANN = Tenant("ann")


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

"""Postings find what reading every column finds, whatever the filter, and segments without them go on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.filters import parse_filter
from services.nn_shard.engine import Engine, SearchOptions
from services.nn_shard.engine.part import Part, row_bits
from services.nn_shard.engine.selection import Selection, Selector, live_rows
from tests.unit.engine_lives import TENANT, as_of_an_earlier_version, clustered, far, gone, maintain, opened, record

PICTURES = 300
TENANTS = ["ann", "ben", "few"]
TAGS = ["red", "blue", "rare", "1", "true"]
SCALARS = st.sampled_from([0, -1, 1, 1.5, 7, 299, True, False, "1", "true", "red", "", 2**53 - 1])
NUMBERS = st.sampled_from([-1, 0, 1, 1.5, 7, 150, 299, 1e12])


def bounds() -> st.SearchStrategy[dict[str, Any]]:
    one = st.tuples(st.sampled_from(["gte", "gt"]), NUMBERS), st.tuples(st.sampled_from(["lte", "lt"]), NUMBERS)
    return st.tuples(*one).map(dict) | one[0].map(lambda bound: dict([bound])) | one[1].map(lambda bound: dict([bound]))


def one_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.fixed_dictionaries({"in": st.lists(values, min_size=1, max_size=3)})


TERMS = (
    st.fixed_dictionaries({"tags": one_of(st.sampled_from([*TAGS, "absent"]))})
    | st.fixed_dictionaries({"owner": one_of(st.sampled_from(["o0", "o1", "o40", ""]))})
    | st.fixed_dictionaries({"source_domain": one_of(st.sampled_from(["a.example", "b.example", ""]))})
    | st.fixed_dictionaries({"private": one_of(st.booleans())})
    | st.dictionaries(st.sampled_from(["width", "created_at"]), one_of(NUMBERS) | bounds(), min_size=1, max_size=1)
    | st.dictionaries(
        st.sampled_from(["attributes.n", "attributes.mixed", "attributes.absent"]),
        one_of(SCALARS) | bounds(),
        min_size=1,
        max_size=1,
    )
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.dictionaries(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3), min_size=1),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Part, Part]:
    """The same pictures in a head, and sealed."""
    numbers = np.random.default_rng(4)
    mixed: list[Any] = [True, 1, 1.0, "1", False, 0, -0.0, "true", 7, "red"]
    records = []
    for number in range(PICTURES):
        known: dict[str, Any] = {
            "owner": f"o{number % 50}",
            "tags": tuple(tag for tag in TAGS[:2] if numbers.random() < 0.4) + (("rare",) if number % 97 == 0 else ()),
            "source_url": f"https://{'ab'[number % 2]}.example/{number % 9}" if number % 3 else "",
            "created_at_ms": int(numbers.integers(0, 300)),
            "width": number % 160,
            "private": number % 11 == 0,
            "attributes": {"n": number, "mixed": mixed[number % len(mixed)], "list": [1]},
        }
        regions = clustered(1 + number % 3, seed=number)
        tenant = TENANTS[2] if number % 60 == 0 else TENANTS[number % 2]
        records.append(record(number + 1, regions, tenant=tenant, **known))
    engines = [opened(tmp_path_factory.mktemp(name)) for name in ("head", "sealed")]
    for engine in engines:
        engine.apply(records)
    engines[1].checkpoint(engines[1].freeze(), {})
    found = [next(part for part in engine._view.parts if part.rows) for engine in engines]
    assert found[0].store.postings is None
    assert found[1].store.postings is not None
    return found[0], found[1]


def selected(part: Part, few_rows: int, options: SearchOptions) -> set[tuple[int, int]]:
    """Picture and region of each row that the options select."""
    selection = Selector(few_rows, 65_536).select(part, options)
    if selection is None:
        return set()
    rows = np.arange(part.rows)
    if selection.rows is not None:
        rows = live_rows(part, selection.rows)
    elif selection.bits is not None:
        rows = rows[row_bits(selection.bits, rows)]
    assert len(rows) == selection.count
    assert np.all(np.diff(rows) > 0)
    columns = part.columns
    return set(zip(columns.ids[columns.row_pictures[rows]].tolist(), columns.regions[rows].tolist(), strict=True))


@given(FILTERS, st.sampled_from([*TENANTS, "nobody"]), st.booleans(), st.sampled_from([0, 5, 10_000]))
def test_they_find_what_columns_hold(
    parts: tuple[Part, Part], filter: dict[str, Any], tenant: str, use_crops: bool, few_rows: int
) -> None:
    options = SearchOptions(tenant, 10, filter=parse_filter(filter), use_crops=use_crops)
    head, sealed = parts
    assert selected(sealed, few_rows, options) == selected(head, few_rows, options)


@given(st.none() | FILTERS, st.sampled_from([None, "", "o0", "o40", "nobody"]))
def test_what_is_private_is_selected_for_its_owner(
    parts: tuple[Part, Part], filter: dict[str, Any] | None, name: str | None
) -> None:
    given = parse_filter(filter)
    for part in parts:
        every = selected(part, 5, SearchOptions(TENANTS[0], 10, filter=given))
        seen = selected(part, 5, SearchOptions(TENANTS[0], 10, filter=given, visible_to=name))
        hidden = {id for id, _ in every if (id - 1) % 11 == 0 and name not in (None, f"o{(id - 1) % 50}")}
        assert seen == {one for one in every if one[0] not in hidden}


def test_who_asks_costs_nothing_until_something_is_private(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.apply([record(one, clustered(1, seed=one)) for one in range(1, 40)])
    for _ in range(2):  # in the head, and sealed
        (part,) = engine._view.parts
        assert not engine.some_private
        assert Selector(5, 65_536).select(part, SearchOptions(TENANT, 10, visible_to="o1")) == Selection(39)
        engine.checkpoint(engine.freeze(), {})
    # One that was let in before it came, as nobody in particular, does not see it.
    let_in = SearchOptions(TENANT, 60, visible_to="")
    engine.apply([record(40, clustered(1, seed=40), private=True, owner="o1")])
    for _ in range(2):
        assert engine.some_private
        assert 40 not in ids_of(engine, let_in)
        assert 40 in ids_of(engine, SearchOptions(TENANT, 60, visible_to="o1"))
        assert 40 in ids_of(engine, SearchOptions(TENANT, 60))
        engine.checkpoint(engine.freeze(), {})
        engine = opened(tmp_path)


@pytest.mark.parametrize(
    ("tenant", "filter", "most"),
    [
        ("few", None, 5),
        ("ann", {"tags": "rare"}, 4),
        ("ann", {"and": [{"tags": "red"}, {"owner": "o40"}]}, 6),
        ("ann", {"or": [{"tags": "rare"}, {"attributes.n": {"gt": 290}}]}, 12),
        ("ann", {"not": {"tags": "red"}}, None),
        ("ann", {"tags": "red"}, None),
        ("ann", {"owner": "absent"}, 0),
    ],
)
def test_few_are_named_and_many_are_not(
    parts: tuple[Part, Part], tenant: str, filter: dict[str, Any] | None, most: int | None
) -> None:
    store = parts[1].store
    assert store.postings is not None
    narrowed = store.postings.narrowed(store.tenants.index(tenant), parse_filter(filter))
    if most is None:
        assert narrowed is None
    else:
        assert narrowed is not None
        assert len(narrowed) <= most


def test_a_segment_of_an_earlier_version_answers_and_merges(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    tags = {one: ("red",) * (one % 9 == 0) for one in range(1, 61)}
    engine.apply([record(one, clustered(1, seed=one), tags=tags[one]) for one in tags])
    engine.checkpoint(engine.freeze(), {})
    as_of_an_earlier_version(tmp_path, "postings")

    engine = opened(tmp_path)
    assert not engine.dropped_segments
    options = SearchOptions(TENANT, 60, filter=parse_filter({"tags": "red"}))
    assert sorted(ids_of(engine, options)) == [9, 18, 27, 36, 45, 54]
    engine.apply([gone(one, 2) for one in range(1, 40)])
    maintain(engine)
    assert all(part.store.postings is not None for part in engine._view.segments)
    assert sorted(ids_of(engine, options)) == [45, 54]


def ids_of(engine: Engine, options: SearchOptions) -> list[int]:
    (answer,) = engine.search(clustered(1, seed=3), options, far())
    return [int(one) for one in answer.hits.ids]

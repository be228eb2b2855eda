"""A filter is parsed within bounds, and written back as the same filter."""

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery, TooLarge
from omma.filters import And, AnyOf, Between, Filter, Not, Or, canonical, parse_filter

TEXT_FIELDS = st.sampled_from(["tags", "owner", "source", "source_domain"])
NUMBER_FIELDS = st.sampled_from(["created_at", "width", "height"])
ATTRIBUTES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8).map(
    "attributes.{}".format
)
TEXTS = st.text(max_size=8)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
EXACT = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**52), 2.0**52) | st.floats(2.0**64, 1.7e308)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = TEXTS | NUMBERS | st.booleans()


@st.composite
def bounds(draw: st.DrawFn) -> dict[str, float]:
    low = draw(st.sampled_from(["gte", "gt", ""]))
    high = draw(st.sampled_from(["lte", "lt"] if not low else ["lte", "lt", ""]))
    return {name: draw(NUMBERS) for name in (low, high) if name}


def one_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.fixed_dictionaries({"in": st.lists(values, min_size=1, max_size=4)})


TERMS = (
    st.dictionaries(TEXT_FIELDS, one_of(TEXTS), min_size=1, max_size=1)
    | st.dictionaries(NUMBER_FIELDS, one_of(NUMBERS) | bounds(), min_size=1, max_size=1)
    | st.fixed_dictionaries({"private": one_of(st.booleans())})
    | st.dictionaries(ATTRIBUTES, one_of(SCALARS) | bounds(), min_size=1, max_size=2)
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: (
        st.fixed_dictionaries({"not": inner})
        | st.dictionaries(
            st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=2
        )
    ),
    max_leaves=6,
)


def parsed(source: Any) -> Filter | None:
    """None for one that is refused."""
    try:
        return parse_filter(source)
    except (InvalidQuery, TooLarge) as error:
        assert error.field == "filter"
        return None


@given(FILTERS)
def test_a_canonical_filter_parses_back_to_itself(source: dict[str, Any]) -> None:
    filter = parsed(source)
    assert parse_filter(canonical(filter)) == filter


@given(FILTERS)
def test_text_and_parsed_json_mean_the_same(source: dict[str, Any]) -> None:
    assert parsed(json.dumps(source)) == parsed(source)


@given(FILTERS, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(source: dict[str, Any], random: Any) -> None:
    items = list(source.items())
    random.shuffle(items)
    assert canonical(parsed(dict(items))) == canonical(parsed(source))


JSON = st.recursive(
    st.none() | SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("and") | TEXT_FIELDS, inner, max_size=3)
    ),
)


@given(JSON)
def test_any_json_is_a_filter_or_refused(source: Any) -> None:
    parsed(json.dumps(source))


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    parsed(text)


def test_no_filter_keeps_everything() -> None:
    assert parse_filter(None) is None
    assert parse_filter("") is None
    assert canonical(None) == ""


@pytest.mark.parametrize(
    ("source", "filter"),
    [
        ({"owner": "ann"}, AnyOf("owner", ("ann",))),
        ({"tags": {"in": ["b", "a", "b"]}}, AnyOf("tags", ("a", "b"))),
        ({"width": {"gte": 10, "lt": 20}}, Between("width", 10, 20, high_open=True)),
        ({"height": {"gt": 10}}, Between("height", 10, math.inf, low_open=True)),
        ({"attributes.price": 3}, AnyOf("attributes.price", (3.0,))),
        ({"attributes.sold": True}, AnyOf("attributes.sold", (True,))),
        ({"owner": "a", "width": 3}, And((AnyOf("owner", ("a",)), AnyOf("width", (3.0,))))),
        ({"not": {"or": [{"owner": "a"}]}}, Not(Or((AnyOf("owner", ("a",)),)))),
        ({"created_at": "2026-01-02T03:04:05Z"}, AnyOf("created_at", (1767323045000.0,))),
        ({"created_at": "2026-01-02T03:04:05"}, AnyOf("created_at", (1767323045000.0,))),
    ],
)
def test_json_to_filter(source: dict[str, Any], filter: Filter) -> None:
    assert parse_filter(source) == filter


def test_true_is_not_one() -> None:
    assert canonical(parse_filter({"attributes.a": True})) != canonical(parse_filter({"attributes.a": 1}))


@given(
    st.lists(
        WORDS | EXACT | st.booleans() | st.sampled_from([True, 1, 1.0, "1", False, 0, -0.0, 0.0]),
        min_size=2,
        max_size=4,
    )
)
def test_filters_are_equal_as_their_values_are(values: list[Any]) -> None:
    """What caches are keyed by: a dict must tell apart what the canonical text does, and nothing else."""
    filters = [parse_filter({"attributes.a": value}) for value in values]
    assert len(set(filters)) == len({canonical(filter) for filter in filters})


def test_one_is_equal_to_its_float_and_to_no_truth_value() -> None:
    assert AnyOf("attributes.a", (1,)) == AnyOf("attributes.a", (1.0,))
    assert AnyOf("attributes.a", (1,)) != AnyOf("attributes.a", (True,))


BEYOND = (2**53, 2**53 + 1, -(2**53), 1234567890123456789, 2**63, 2**64, 10**20, 2.0**53, -1e17, 2.0**63)
PLACES: dict[str, Any] = {
    "value": lambda number: number,
    "in": lambda number: {"in": [1, number]},
    **{name: (lambda number, name=name: {name: number}) for name in ("gte", "gt", "lte", "lt")},
}


@pytest.mark.parametrize("field", ["attributes.tweet", "created_at", "width", "height"])
@pytest.mark.parametrize("place", PLACES)
def test_a_number_that_is_not_told_from_its_neighbours_is_refused(field: str, place: str) -> None:
    for number in BEYOND:
        term = {field: PLACES[place](number)}
        for filter in (term, {"not": term}, {"and": [{"owner": "a"}, {"or": [term]}]}, json.dumps(term)):
            with pytest.raises(InvalidQuery, match=rf"'{field}'.*as text") as refused:
                parse_filter(filter)
            assert refused.value.field == "filter"
    for number in (2**53 - 1, -(2**53) + 1, 1e20, -1e300):
        assert parse_filter({field: PLACES[place](number)}) is not None


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(2**53 - 3, 2**53 + 3), EXACT)
def test_what_is_asked_as_float64_is_asked_exactly(stored: int, asked: float) -> None:
    """Whatever whole number a row holds."""
    filter = parse_filter({"attributes.a": asked})
    assert isinstance(filter, AnyOf)
    (number,) = filter.values
    assert isinstance(number, float)
    assert (float(stored) == number, float(stored) < number) == (stored == asked, stored < asked)


def test_created_at_is_in_milliseconds() -> None:
    when = datetime(2026, 11, 21, tzinfo=UTC)
    assert parse_filter({"created_at": when.isoformat()}) == parse_filter({"created_at": when.timestamp() * 1000})


@pytest.mark.parametrize(
    "source",
    [
        "{",
        "[]",
        "{}",
        "3",
        "null",
        '"owner"',
        '{"owner": NaN}',
        '{"width": Infinity}',
        '{"width": 1e999}',
        '{"width": {"gte": -1e999}}',
        '{"width": "wide"}',
        '{"width": true}',
        '{"width": {"gte": "10"}}',
        '{"width": {"gte": 1, "gt": 2}}',
        '{"width": {"between": 3}}',
        '{"width": {}}',
        '{"width": {"in": []}}',
        '{"width": {"in": 3}}',
        '{"owner": null}',
        '{"owner": 3}',
        '{"owner": ["a"]}',
        '{"owner": {"gte": "a"}}',
        '{"colour": "red"}',
        '{"attributes.": 3}',
        '{"attributes.a": null}',
        '{"and": {"owner": "a"}}',
        '{"and": []}',
        '{"not": []}',
        '{"created_at": "yesterday"}',
        '{"owner": "\\ud800"}',
        '{"attributes.\\ud800": 3}',
        '{"width": ' + "9" * 400 + "}",
        '{"width": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_filter_is_refused(source: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        parse_filter(source)
    assert raised.value.field == "filter"
    assert len(raised.value.detail) < 300


@pytest.mark.parametrize("opening", ['{"not":', '{"and":[', "["])
@pytest.mark.parametrize("depth", [1_000, 10_000])
def test_a_deep_filter_is_refused_quickly(opening: str, depth: int) -> None:
    started = time.perf_counter()
    with pytest.raises((InvalidQuery, TooLarge)):
        parse_filter(opening * depth + "{}" + "".join("]}" if "[" in opening else "}" for _ in range(depth)))
    assert time.perf_counter() - started < 0.5


def test_a_deep_filter_that_comes_parsed_is_refused() -> None:
    nested: dict[str, Any] = {"owner": "a"}
    for _ in range(1_000):
        nested = {"not": nested}
    with pytest.raises(InvalidQuery) as raised:
        parse_filter(nested)
    assert raised.value.limit == 8


def test_ten_megabytes_are_refused_unread() -> None:
    source = '{"owner": "' + "a" * 10_000_000 + '"}'
    started = time.perf_counter()
    with pytest.raises(TooLarge) as raised:
        parse_filter(source)
    assert time.perf_counter() - started < 0.05
    assert raised.value.limit == 100_000


def test_the_limits_themselves_are_allowed() -> None:
    assert parse_filter({"or": [{"owner": "a"}] * 64}) is not None
    with pytest.raises(InvalidQuery):
        parse_filter({"or": [{"owner": "a"}] * 65})
    nested: dict[str, Any] = {"owner": "a"}
    for _ in range(7):
        nested = {"not": nested}
    assert parse_filter(nested) is not None
    with pytest.raises(InvalidQuery):
        parse_filter({"not": nested})


def test_a_parsed_filter_has_the_same_bound_of_characters() -> None:
    with pytest.raises((InvalidQuery, TooLarge)):
        parse_filter({"owner": {"in": ["x" * 1_000 + str(number) for number in range(1_000)]}})


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_the_calendar_are_times(when: str) -> None:
    assert isinstance(parse_filter({"created_at": when}), AnyOf)


def test_several_keys_nest_as_the_and_that_they_are() -> None:
    nested: dict[str, Any] = {"owner": "a", "width": 3}
    for _ in range(6):
        nested = {"not": nested}
    filter = parse_filter(nested)
    assert parse_filter(canonical(filter)) == filter
    with pytest.raises(InvalidQuery):
        parse_filter({"not": nested})


def test_true_and_one_are_two_values() -> None:
    filter = parse_filter({"attributes.a": {"in": [True, 1, 1.0, 0, -0.0, False]}})
    assert isinstance(filter, AnyOf)
    assert [(type(value), value) for value in filter.values] == [
        (bool, False),
        (bool, True),
        (float, 0.0),
        (float, 1.0),
    ]


def test_a_filter_that_fits_is_canonical_within_the_limit() -> None:
    values = [str(number) + "ü" for number in range(1_000)]
    source = json.dumps({"or": [{"owner": {"in": values}}] * 12}, ensure_ascii=False)
    assert 80_000 < len(source) <= 100_000
    assert len(canonical(parse_filter(source))) <= len(source)

"""Single fields of a request: read as they were meant, or refused by name."""

from collections.abc import Callable
from typing import Any

import pytest

from omma.errors import InvalidQuery
from services.gateway.rest.fields import as_integer, as_number, as_text, as_user_id, said
from services.gateway.rest.search_fields import json_query
from services.gateway.rest.similar import _in_our_words


@pytest.mark.parametrize(("value", "text"), [(42, "42"), (0, "0"), (-7, "-7"), ("42", "42"), ("ann", "ann"), ("", "")])
def test_whole_numbers_and_texts_are_user_ids(value: Any, text: str) -> None:
    assert as_user_id(value, "user_id") == text
    assert json_query({"image_id": 1, "user_id": value}).user_id == text


@pytest.mark.parametrize("value", [True, False, 4.2, 42.0, 2**64, -(2**70), [], {}, [42], "\ud800", "u" * 257])
def test_nothing_else_is_a_user_id(value: Any) -> None:
    with pytest.raises(InvalidQuery) as failure:
        json_query({"image_id": 1, "user_id": value})
    assert failure.value.field == "user_id"


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (as_integer, "1_000"),
        (as_integer, "\u0661"),
        (as_integer, ""),
        (as_integer, "1.0"),
        (as_integer, "9" * 20),
        (as_integer, True),
        (as_number, "1_000.0"),
        (as_number, True),
        (as_number, "many"),
        (as_text, 1),
        (as_text, "half a pair \udfff"),
    ],
)
def test_what_another_language_would_read_otherwise_is_refused(convert: Callable[..., Any], value: Any) -> None:
    with pytest.raises(InvalidQuery) as failure:
        convert(value, "name")
    assert failure.value.field == "name"


def test_nothing_said_is_not_the_same_as_false() -> None:
    assert [said({"a": value}, "a", "otherwise") for value in (None, "", 0, False)] == ["otherwise", "otherwise", 0, 0]


@pytest.mark.parametrize("name", ["space", "receipts", "queries", "bbox_unit", "near_duplicates", "cursor"])
@pytest.mark.parametrize("value", [0, False])
def test_a_false_value_is_no_absent_one(name: str, value: Any) -> None:
    with pytest.raises(InvalidQuery) as failure:
        json_query({"image_id": 1, name: value})
    assert failure.value.field == name


@pytest.mark.parametrize("unit", ["fraction", "pixel"])
def test_each_of_queries_has_a_unit_of_its_own(unit: str) -> None:
    half = {"image_id": 1, "bbox": "0,0,0.5,0.5"}
    with pytest.raises(InvalidQuery) as failure:
        json_query({"queries": [half], "bbox_unit": unit})
    assert failure.value.field == "bbox_unit"
    [sought] = json_query({"queries": [{**half, "bbox_unit": unit}]}).sought
    assert sought == json_query({**half, "bbox_unit": unit}).sought[0]
    whole = {"image_id": 1, "bbox": None, "bbox_unit": unit}
    assert json_query(whole).sought == json_query({"image_id": 1}).sought, "of nothing it says nothing"


@pytest.mark.parametrize("corner", [10**400, -(10**400), float("inf")])
def test_a_corner_that_no_float_has_is_refused(corner: float) -> None:
    for given in ({"bbox": [0, 0, 1, corner]}, {"bbox": [corner, 0, 1, 1], "bbox_unit": "fraction"}):
        with pytest.raises(InvalidQuery) as failure:
            json_query({"image_id": 1, **given})
        assert failure.value.field == "bbox"


@pytest.mark.parametrize(("theirs", "ours", "value"), [("limit", "k", 7), ("text_query", "text", "lamp")])
def test_null_in_one_word_takes_nothing_from_the_other(theirs: str, ours: str, value: Any) -> None:
    assert _in_our_words({ours: value, theirs: None})[ours] == value
    assert _in_our_words({theirs: value, ours: None})[ours] == value


def test_a_score_threshold_is_a_number_or_auto() -> None:
    given = {"image_id": 1, "score_threshold": "auto"}
    assert (json_query(given).auto_threshold, json_query(given).score_threshold) == (True, None)
    given["score_threshold"] = 0.5
    assert (json_query(given).auto_threshold, json_query(given).score_threshold) == (False, 0.5)
    for wrong in ("Auto", "automatic", [], True, 2):
        with pytest.raises(InvalidQuery) as failure:
            json_query(given | {"score_threshold": wrong})
        assert failure.value.field == "score_threshold"

"""A bbox: pixels of the upright picture, right and bottom exclusive, clipped, never empty."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery
from omma.images import crop_box, fraction_box, parse_bbox

SIDES = st.integers(1, 5_000)
NUMBERS = st.floats(-1e6, 1e6)


def test_the_contracts_example_is_taken_as_it_is() -> None:
    assert crop_box(parse_bbox("30,20,220,200"), 400, 300) == (30, 20, 220, 200)


@pytest.mark.parametrize("bbox", ["-5,-5,1000,1000", "-1e300,0,1e300,1e9"])
def test_a_box_is_clipped(bbox: str) -> None:
    assert crop_box(parse_bbox(bbox), 40, 30) == (0, 0, 40, 30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "1,2,3,",
        "a,b,c,d",
        "1;2;3;4",
        "nan,0,10,10",
        "0,0,inf,10",
        "10,0,5,10",
        "0,10,10,5",
        "5,5,5,9",
        "5,5,9,5",
        "1," * 100_000,
    ],
)
def test_what_is_no_box_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery) as error:
        parse_bbox(text)
    assert error.value.field == "bbox"
    assert len(error.value.detail) < 300


@pytest.mark.parametrize("bbox", [(40, 0, 50, 10), (0, 30, 10, 40), (-10, -10, 0, 0), (1e9, 1e9, 2e9, 2e9)])
def test_a_box_outside_the_picture_is_refused(bbox: tuple[float, ...]) -> None:
    with pytest.raises(InvalidQuery) as error:
        crop_box(bbox, 40, 30)
    assert error.value.field == "bbox"


@pytest.mark.parametrize("bbox", [(0, 0, 1), (0, 0, math.nan, 1), (0.5, 0, 0.5, 1), (1, 0, 2, 1), (-1, 0, 0, 1)])
def test_bad_fractions_are_refused(bbox: tuple[float, ...]) -> None:
    with pytest.raises(InvalidQuery) as error:
        fraction_box(bbox, 40, 30)
    assert error.value.field == "bbox"


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, SIDES, SIDES)
def test_a_clipped_box_lies_in_the_picture_and_is_not_empty(
    x1: float, y1: float, x2: float, y2: float, width: int, height: int
) -> None:
    try:
        left, top, right, bottom = crop_box((x1, y1, x2, y2), width, height)
    except InvalidQuery:
        assert x1 >= x2 or y1 >= y2 or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0
        return
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left <= max(x1, 0) < left + 1
    assert right - 1 < min(x2, width) <= right


@given(SIDES, SIDES, st.data())
def test_fractions_of_a_pixel_box_give_that_box_back(width: int, height: int, data: st.DataObject) -> None:
    left = data.draw(st.integers(0, width - 1))
    top = data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    fractions = (left / width, top / height, right / width, bottom / height)
    assert fraction_box(fractions, width, height) == (left, top, right, bottom)


@given(st.tuples(*[st.floats(-0.5, 1.5)] * 4), SIDES, SIDES)
def test_a_fraction_box_is_never_empty(box: tuple[float, float, float, float], width: int, height: int) -> None:
    try:
        left, top, right, bottom = fraction_box(box, width, height)
    except InvalidQuery:
        return
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height

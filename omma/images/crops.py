"""Boxes: parsed from what a caller wrote, and clipped to a picture."""

import math
from collections.abc import Sequence

from omma.errors import InvalidQuery
from omma.written import number_of

Corners = tuple[float, float, float, float]
"""left, top, right, bottom as the caller gave them: pixels of the upright picture, or fractions of it."""
PixelBox = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the upright picture; right and bottom exclusive, never empty."""


def parse_bbox(text: str) -> Corners:
    """The four numbers of `"x1,y1,x2,y2"`. Raises InvalidQuery, field `bbox`; says nothing of the picture yet."""
    numbers = [number_of(part.strip()) for part in text.split(",", 4)]
    if None in numbers:
        raise _invalid(f"{text[:80]!r} is not four numbers with commas between them.")
    return check_corners([one for one in numbers if one is not None])


def check_corners(numbers: Sequence[float]) -> Corners:
    """Raises InvalidQuery, field `bbox`, unless there are four finite numbers, left < right and top < bottom."""
    if len(numbers) != 4:
        raise _invalid(f"A bbox has four numbers, x1,y1,x2,y2; this one has {len(numbers)}.")
    try:
        left, top, right, bottom = map(float, numbers)
    except OverflowError:  # a whole number that float64 has not
        left = top = right = bottom = math.inf
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise _invalid("A bbox is made of finite numbers.")
    if left >= right or top >= bottom:
        raise _invalid("x1 must be less than x2, and y1 less than y2.")
    return left, top, right, bottom


def crop_box(bbox: Sequence[float], width: int, height: int) -> PixelBox:
    """bbox clipped to an upright picture of width x height pixels; half pixels widen it.

    Raises InvalidQuery, field `bbox`, when it is no box or nothing of it lies in the picture.
    """
    left, top, right, bottom = check_corners(bbox)
    clipped = (
        math.floor(min(max(left, 0), width)),
        math.floor(min(max(top, 0), height)),
        math.ceil(min(max(right, 0), width)),
        math.ceil(min(max(bottom, 0), height)),
    )
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise _invalid(f"The bbox lies outside the picture, which is {width} x {height} pixels.")
    return clipped


def fraction_box(bbox: Sequence[float], width: int, height: int) -> PixelBox:
    """bbox in fractions 0 ... 1 of the upright picture, as pixels: edges go to the nearest, a sliver keeps one pixel.

    Raises InvalidQuery as crop_box does.
    """
    left, top, right, bottom = check_corners(bbox)
    if right <= 0 or bottom <= 0 or left >= 1 or top >= 1:
        raise _invalid("The bbox lies outside the picture, whose fractions go from 0 to 1.")
    x1, x2 = _edges(left, right, width)
    y1, y2 = _edges(top, bottom, height)
    return x1, y1, x2, y2


def _edges(low: float, high: float, side: int) -> tuple[int, int]:
    first = min(round(max(low, 0) * side), side - 1)
    return first, max(round(min(high, 1) * side), first + 1)


def _invalid(detail: str) -> InvalidQuery:
    return InvalidQuery(detail, field="bbox")

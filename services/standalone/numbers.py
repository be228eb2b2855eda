"""Numbers that commands take: in digits, and within the bounds that REST has, before anything is asked.

typer alone reads 1_9 as 19. Help says the bounds in words, since typer shows those of its own kinds alone.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import typer

from omma.written import number_of, whole_of

Number = TypeVar("Number", int, float)


def whole(least: float = -math.inf, most: float = math.inf) -> Callable[[str | int], int]:
    """Parser of a whole number, which raises BadParameter. Without bounds whoever is asked has them."""

    def read(given: str | int) -> int:
        found = whole_of(str(given))
        if found is None:
            raise typer.BadParameter(f"{given!r} is no whole number, in digits.")
        return _within(found, least, most)

    return read


def number(least: float = -math.inf, most: float = math.inf) -> Callable[[str | float], float]:
    """The same of any finite number."""

    def read(given: str | float) -> float:
        found = number_of(str(given))
        if found is None or math.isinf(found):
            raise typer.BadParameter(f"{given!r} is no number, in digits.")
        return _within(found, least, most)

    return read


def picture_id(given: str) -> int:
    """Parser of an id: others' pictures are others'."""
    id = whole_of(given)
    if id is None:
        raise typer.BadParameter(f"{given!r} is no id of a picture: digits.")
    return id


def _within(found: Number, least: float, most: float) -> Number:
    if not least <= found <= most:
        bounds = f"{least:,} or more" if math.isinf(most) else f"{least:,} to {most:,}"
        raise typer.BadParameter(f"{found} is not {bounds}.")
    return found

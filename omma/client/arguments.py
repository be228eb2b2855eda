"""What callers of the SDK give, as a request has it. Raises InvalidQuery, field: the argument's name."""

from collections.abc import Iterable, Mapping
from typing import Any

from omma.errors import InvalidQuery


def as_list(name: str, given: Iterable[Any]) -> list[Any]:
    """Text is no list of its letters, an object none of its names."""
    if isinstance(given, str | bytes | bytearray | Mapping) or not isinstance(given, Iterable):
        raise InvalidQuery(f"{name} must be a list.", field=name)
    return list(given)


def as_numbers(name: str, given: Iterable[Any]) -> list[float]:
    numbers = as_list(name, given)
    try:
        if not any(isinstance(one, str | bytes) for one in numbers):
            return [float(one) for one in numbers]
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidQuery(f"{name} must be a list of numbers.", field=name)


def as_rows(name: str, given: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Objects, each with its vector as numbers."""
    rows = as_list(name, given)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or "vector" not in row:
            raise InvalidQuery(f"Row {number} is no object with a vector.", field=name)
    return [{**row, "vector": as_numbers("vector", row["vector"])} for row in rows]

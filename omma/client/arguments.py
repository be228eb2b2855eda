"""What callers of the SDK give, as a request has it. Raises InvalidQuery, field: the argument's name."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

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


def as_seconds(name: str, given: Any) -> float:
    """A time to wait, 0 for less."""
    try:
        if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
            return max(float(given), 0.0)
    except OverflowError:
        pass
    raise InvalidQuery(f"{name} must be a number.", field=name)


def as_header(name: str, given: Any) -> str:
    if isinstance(given, str) and given.isascii() and given.isprintable() and given == given.strip():
        return given
    raise InvalidQuery(f"{name} must be text of ASCII that prints, without spaces around it.", field=name)


def as_text(name: str, given: Any) -> str:
    """Of a form, a path or a query, which are sent as UTF-8."""
    try:
        text = str(given)
        text.encode()
    except ValueError:  # half of a surrogate pair, or a number of more digits than Python writes
        raise InvalidQuery(f"{name[:80]!a} cannot be written as text.", field=name) from None
    return text


def as_json(name: str, given: Any) -> str:
    try:
        return as_text(name, json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except (TypeError, ValueError, RecursionError):
        raise InvalidQuery(f"{name[:80]!a} holds what JSON has not.", field=name) from None


def as_object(given: Mapping[str, Any]) -> bytes:
    """A JSON body."""
    members = (f"{as_json(name, as_text(name, name))}:{as_json(name, value)}" for name, value in given.items())
    return f"{{{','.join(members)}}}".encode()


def in_path(word: str | int, name: str = "id") -> str:
    """Somebody's word as one part of a path, and never none, two, or a way to another one."""
    if word == "":
        raise InvalidQuery(f"{name} is empty.", field=name)
    return quote(as_text(name, word), safe="").replace(".", "%2E")

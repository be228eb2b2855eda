"""JSON that somebody sends, read as its standard has it: Python alone takes NaN, and of a name that stands twice the
last value in silence, so that `{"and": […], "and": […]}` would erase what one of the two keeps.
"""

import json
from collections import Counter
from typing import Any


class DoubledName(ValueError):
    """name: that stands twice in one object."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name[:80]!r} stands twice in one object")
        self.name = name[:80]


def parse(text: str | bytes) -> Any:
    """The value. bytes: UTF-8. Raises ValueError (DoubledName; UnicodeDecodeError) and RecursionError."""
    said = text if isinstance(text, str) else text.decode("utf-8")
    return json.loads(said, parse_constant=_no_constant, object_pairs_hook=_each_once)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DoubledName(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return found

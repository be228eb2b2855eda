"""The filter of a search or a listing: JSON to a small frozen tree that shards and the catalog evaluate."""

import json
import math
import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from omma import sent_json
from omma.errors import InvalidQuery, TooLarge

MAX_CHARACTERS: Final = 100_000
MAX_TERMS: Final = 64
MAX_DEPTH: Final = 8
MAX_IN_VALUES: Final = 1_000
LEAST_INEXACT: Final = 2**53
"""Float64, and so every filter, does not tell this whole number from the next, nor most beyond it."""
_INT64: Final = 2**63

TEXT_FIELDS: Final = frozenset({"tags", "owner", "source", "source_domain"})
NUMBER_FIELDS: Final = frozenset({"created_at", "width", "height"})
TRUTH_FIELDS: Final = frozenset({"private"})
ATTRIBUTES: Final = "attributes."
_FIELDS: Final = TEXT_FIELDS | NUMBER_FIELDS | TRUTH_FIELDS
_BOUNDS: Final = frozenset({"gte", "gt", "lte", "lt"})
_ATTRIBUTE_NAME: Final = re.compile(r"[^\x00-\x1f]{1,128}")

Value: TypeAlias = str | float | bool


def kind_of(value: Value) -> str:
    """`b`, `s` or `n`: JSON's type. In Python true equals 1; whatever keys a value takes its kind along."""
    return "b" if isinstance(value, bool) else "s" if isinstance(value, str) else "n"


def value_key(value: Value) -> str | None:
    """A text that is equal for equal values: true, 1 and "1" differ, 1 and 1.0 do not, nor do 0 and -0.

    Numbers are float64, as everywhere in JSON: 2^53 and 2^53 + 1 are one. None for a number that float64 has not.
    """
    kind = kind_of(value)
    if kind != "n":
        return f"{kind}{value}"
    number = as_float(value)
    return None if number is None else f"n{number.hex()}"


def as_float(value: Any) -> float | None:
    """A number as finite float64, -0 as 0; None for one that is too large, infinite or none."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number + 0.0 if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds one of the values; for `tags`, one of the picture's tags does.

    kinds: of each value, so that two filters are equal only when their values are: see value_key.
    """

    field: str
    values: tuple[Value, ...]
    kinds: str = dataclass_field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", "".join(map(kind_of, self.values)))


@dataclass(frozen=True, slots=True)
class Between:
    """The field is a number inside the bounds. created_at: milliseconds since 1970, UTC."""

    field: str
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Filter"


Filter: TypeAlias = AnyOf | Between | And | Or | Not


def parse_filter(source: str | dict[str, Any] | None) -> Filter | None:
    """JSON text or its parsed form to a filter; None or empty text: no filter.

    `{field: value}`, `{field: {"in": […]}}`, `{field: {"gte"|"gt"|"lte"|"lt": number}}`, `{"and": […]}`, `{"or": […]}`,
    `{"not": …}`; an object with several keys is an `and`. created_at takes milliseconds or ISO 8601. Whole numbers
    from 2^53 on are refused.
    Raises InvalidQuery or TooLarge, field `filter`.
    """
    if source is None or source == "":
        return None
    if isinstance(source, str):
        if len(source) > MAX_CHARACTERS:
            raise TooLarge(f"A filter has at most {MAX_CHARACTERS} characters.", field="filter", limit=MAX_CHARACTERS)
        source = _from_json(source)
    filter = _Builder().build(source, depth=1)
    # Also of one that came parsed, and so that a shard, which is sent the canonical text, never refuses it.
    if len(canonical(filter)) > MAX_CHARACTERS:
        raise TooLarge(f"A filter has at most {MAX_CHARACTERS} characters.", field="filter", limit=MAX_CHARACTERS)
    return filter


def canonical(filter: Filter | None) -> str:
    """JSON text that parses back to an equal filter; empty for None. Equal filters give equal text."""
    if filter is None:
        return ""
    return json.dumps(_to_json(filter), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _from_json(text: str) -> Any:
    try:
        return sent_json.parse(text)
    except RecursionError:
        raise InvalidQuery(f"A filter nests at most {MAX_DEPTH} deep.", field="filter", limit=MAX_DEPTH) from None
    except ValueError as error:
        raise InvalidQuery(f"The filter is not JSON: {error}.", field="filter") from None


class _Builder:
    def __init__(self) -> None:
        self._terms = 0

    def build(self, node: Any, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise InvalidQuery(f"A filter nests at most {MAX_DEPTH} deep.", field="filter", limit=MAX_DEPTH)
        if not isinstance(node, dict) or not node:
            raise InvalidQuery('A filter is a JSON object such as {"owner": "ann"}.', field="filter")
        if len(node) == 1:
            [(key, value)] = node.items()
            return self._entry(key, value, depth)
        return And(tuple(self.build({key: value}, depth + 1) for key, value in sorted(node.items())))

    def _entry(self, key: str, value: Any, depth: int) -> Filter:
        if key in ("and", "or"):
            if not isinstance(value, list) or not value:
                raise InvalidQuery(f"{key!r} takes a list of filters.", field="filter")
            parts = tuple(self.build(part, depth + 1) for part in value)
            return And(parts) if key == "and" else Or(parts)
        if key == "not":
            return Not(self.build(value, depth + 1))
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise InvalidQuery(f"A filter has at most {MAX_TERMS} terms.", field="filter", limit=MAX_TERMS)
        return _term(key, value)


def _term(field: str, value: Any) -> Filter:
    _require_utf8(field)
    if not (field in _FIELDS or _is_attribute(field)):
        known = ", ".join(sorted(_FIELDS))
        raise InvalidQuery(f"{field[:80]!r} is no field; there are {known}, attributes.<name>.", field="filter")
    if not isinstance(value, dict):
        return AnyOf(field, (_value(field, value),))
    if set(value) == {"in"}:
        values = value["in"]
        if not isinstance(values, list) or not 0 < len(values) <= MAX_IN_VALUES:
            raise InvalidQuery(f"'in' takes a list of 1 to {MAX_IN_VALUES} values.", field="filter")
        distinct = {value_key(value) or "": value for value in (_value(field, one) for one in values)}
        return AnyOf(field, tuple(distinct[key] for key in sorted(distinct)))
    if value and set(value) <= _BOUNDS and field not in TEXT_FIELDS | TRUTH_FIELDS:
        return _between(field, value)
    raise InvalidQuery(f'{field!r} takes a value, {{"in": […]}} or, for numbers, gte, gt, lte, lt.', field="filter")


def _between(field: str, bounds: dict[str, Any]) -> Between:
    if {"gte", "gt"} <= set(bounds) or {"lte", "lt"} <= set(bounds):
        raise InvalidQuery(f"{field!r} has two lower or two upper bounds.", field="filter")
    numbers = {name: _number(field, bound) for name, bound in bounds.items()}
    return Between(
        field,
        low=numbers.get("gte", numbers.get("gt", -math.inf)),
        high=numbers.get("lte", numbers.get("lt", math.inf)),
        low_open="gt" in numbers,
        high_open="lt" in numbers,
    )


def _is_attribute(field: str) -> bool:
    return field.startswith(ATTRIBUTES) and _ATTRIBUTE_NAME.fullmatch(field[len(ATTRIBUTES) :]) is not None


def _value(field: str, value: Any) -> Value:
    if field in NUMBER_FIELDS:
        return _number(field, value)
    if field in TRUTH_FIELDS:
        if not isinstance(value, bool):
            raise InvalidQuery(f"{field!r} takes true or false.", field="filter")
        return value
    if isinstance(value, str):
        return _require_utf8(value)
    if field in TEXT_FIELDS or not isinstance(value, int | float):
        raise InvalidQuery(f"{field!r} takes text.", field="filter")
    return value if isinstance(value, bool) else _number(field, value)


def _number(field: str, value: Any) -> float:
    if field == "created_at" and isinstance(value, str):
        return _milliseconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidQuery(f"{field!r} takes a number.", field="filter")
    number = as_float(value)
    if number is None:
        raise InvalidQuery(f"{field!r} takes a number that fits 64 bits.", field="filter")
    # Below 2^53 comparing as float64 is exact, whatever whole number is stored; beyond 64 bits none is.
    if abs(number) >= LEAST_INEXACT and (isinstance(value, int) or abs(number) <= _INT64):
        raise InvalidQuery(
            f"{field[:160]!r} takes no whole number from 2^53 ({LEAST_INEXACT:,}) on, which is not told from its "
            "neighbours: store and ask for such numbers as text.",
            field="filter",
        )
    return number


def _milliseconds(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidQuery("'created_at' takes milliseconds or ISO 8601.", field="filter") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000


def _require_utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidQuery("The filter has half a character (a lone surrogate).", field="filter") from None
    if "\0" in text:
        raise InvalidQuery("The filter has a NUL, which no picture's texts have.", field="filter")
    return text


def _short(value: Value) -> Value:
    """A whole number without its `.0`."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _to_json(filter: Filter) -> dict[str, Any]:
    match filter:
        case And(parts):
            return {"and": [_to_json(part) for part in parts]}
        case Or(parts):
            return {"or": [_to_json(part) for part in parts]}
        case Not(part):
            return {"not": _to_json(part)}
        case AnyOf(field, values):
            written = [_short(value) for value in values]
            return {field: written[0] if len(written) == 1 else {"in": written}}
        case Between(field, low, high, low_open, high_open):
            bounds: dict[str, Value] = {}
            if low != -math.inf:
                bounds["gt" if low_open else "gte"] = _short(low)
            if high != math.inf:
                bounds["lt" if high_open else "lte"] = _short(high)
            return {field: bounds}

"""Single fields of a request to typed values, as a form writes them (text) or as JSON does."""

import difflib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from omma import sent_json
from omma.errors import InvalidQuery, TooLarge
from omma.written import number_of, whole_of

_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def unknown_field(name: str, known: Collection[str]) -> InvalidQuery:
    """The error that says which field was meant, perhaps."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}."
    return InvalidQuery(f"{name[:80]!r} is no field here; {hint}", field=name[:80])


def require_known(given: Collection[str], known: Collection[str]) -> None:
    """Raises InvalidQuery naming the first unknown field and the nearest known one."""
    for name in given:
        if name not in known:
            raise unknown_field(name, known)


def require_in_body(parameters: Collection[str]) -> None:
    """Of a call that its body says. Raises InvalidQuery for a parameter of its address: nobody would read it, and a
    picture sent to `/images?private=true` would be everybody's.
    """
    for name in parameters:
        raise InvalidQuery(f"{name[:80]!r} stands in the address: say it in the body.", field=name[:80])


def single(fields: Mapping[str, list[str]], repeated: Collection[str]) -> dict[str, Any]:
    """A form's fields: one text each, and a list for those that may be repeated, or hold a list: JSON's or commas'.

    Raises InvalidQuery for another field that occurs twice.
    """
    for name, values in fields.items():
        if len(values) > 1 and name not in repeated:
            raise InvalidQuery(f"{name} occurs {len(values)} times.", field=name)
    return {name: _listed(values, name) if name in repeated else values[0] for name, values in fields.items()}


def said(fields: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    """What is said under this name. Absent, null and empty text say nothing; 0 and false do, and may be wrong."""
    value = fields.get(name)
    return otherwise if value is None or value == "" else value


def as_object(value: Any, field: str | None = None) -> dict[str, Any]:
    """A JSON object; in a field it may also come as text, as forms have it."""
    if isinstance(value, str) and field is not None:
        value = _parsed(value, field)
    if not isinstance(value, dict):
        raise InvalidQuery(f"{field or 'The body'} must be a JSON object.", field=field)
    return value


def as_integer(value: Any, field: str) -> int:
    if isinstance(value, str):
        number = whole_of(value)
        if number is not None:
            return number
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidQuery(f"{field} must be a whole number, not {_shown(value)}.", field=field)


def as_whole(value: Any, field: str) -> int:
    """Of JSON, where text is no number."""
    if isinstance(value, str):
        raise InvalidQuery(f"{field} must be a whole number, not {_shown(value)}.", field=field)
    return as_integer(value, field)


def as_number(value: Any, field: str) -> float:
    if isinstance(value, str):
        number = number_of(value)
        if number is not None:
            return number
    elif isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    raise InvalidQuery(f"{field} must be a number, not {_shown(value)}.", field=field)


def as_truth(value: Any, field: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise InvalidQuery(f"{field} must be true or false, not {_shown(value)}.", field=field)


def as_switch(value: Any, field: str) -> bool:
    """Of JSON; null says nothing, which is false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise InvalidQuery(f"{field} must be true or false, not {_shown(value)}.", field=field)


def as_text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise InvalidQuery(f"{field} must be text.", field=field)
    if any("\ud800" <= character <= "\udfff" for character in value):  # of JSON's escapes
        raise InvalidQuery(f"{field} is not Unicode: it holds half of a surrogate pair.", field=field)
    return value


def as_user_id(value: Any, field: str) -> str:
    """Text, or a whole number of 64 bits, which is the text of its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**64:
            raise InvalidQuery(f"{field} is text or a whole number of 64 bits.", field=field, limit=2**64 - 1)
        return str(value)
    if not isinstance(value, str):
        raise InvalidQuery(f"{field} must be text or a whole number.", field=field)
    return as_text(value, field)


def as_texts(value: Any, field: str) -> tuple[str, ...]:
    """A list of texts, JSON's also as text, or one text with commas."""
    if isinstance(value, str):
        value = _listed([value], field)
    if not isinstance(value, list):
        raise InvalidQuery(f"{field} must be a list of texts.", field=field)
    return tuple(as_text(one, field) for one in value)


def as_numbers(value: Any, field: str, at_most: int) -> list[float]:
    """A list of numbers: JSON's, JSON as text, or text with commas. Looked at only when there are at_most of them."""
    if isinstance(value, str):
        _check_count(value.count(",") + value.count("[", 1), field, at_most)
        if not value.lstrip().startswith("["):
            return [as_number(one.strip(), field) for one in value.split(",")]
        value = _parsed(value, field)
    if not isinstance(value, list) or str in set(map(type, value[: at_most + 1])):
        raise InvalidQuery(f"{field} must be a list of numbers.", field=field)
    _check_count(len(value), field, at_most)
    # A vector's hundreds of JSON are told as a whole, in a tenth of the time.
    return value if set(map(type, value)) == {float} else [as_number(one, field) for one in value]


def _check_count(count: int, field: str, at_most: int) -> None:
    if count > at_most:
        raise TooLarge(f"{field} has more than {at_most:,} numbers.", field=field, limit=at_most)


def _shown(value: Any) -> str:
    """As the caller wrote it, in JSON's words."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value[:40] if isinstance(value, str) else value)[:60]


def _listed(values: list[str], field: str) -> list[Any]:
    """What begins as JSON's list is one, or is refused: split at its commas it would be something else."""
    parts: list[Any] = []
    for value in values:
        if value.lstrip().startswith("["):
            parts += _parsed_list(value, field)
        else:
            parts += [part.strip() for part in value.split(",") if part.strip()]
    return parts


def _parsed_list(text: str, field: str) -> list[Any]:
    found = _parsed(text, field)
    if not isinstance(found, list):
        raise InvalidQuery(f"{field} must be a list of texts.", field=field)
    return found


def _parsed(text: str, field: str | None) -> Any:
    try:
        return sent_json.parse(text)
    except RecursionError:
        raise InvalidQuery(f"{field} is nested too deep.", field=field) from None
    except ValueError as error:
        raise InvalidQuery(f"{field} is not JSON: {error}.", field=field) from None

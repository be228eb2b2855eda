"""Numbers as people write them: Python alone reads 1_9 as 19, and other scripts' digits, signs and spaces as well."""

import re
from typing import Final

WHOLE: Final = "-?[0-9]+"
NUMBER: Final = r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"

_INT64_DIGITS: Final = 19
_WHOLE: Final = re.compile(WHOLE)
_NUMBER: Final = re.compile(NUMBER)


def whole_of(text: str) -> int | None:
    """None for what is no whole number of 19 digits at most."""
    return int(text) if _WHOLE.fullmatch(text) and len(text.lstrip("-")) <= _INT64_DIGITS else None


def number_of(text: str) -> float | None:
    """None for what is no number in digits; of one that float64 has not an infinity."""
    return float(text) if _NUMBER.fullmatch(text) else None

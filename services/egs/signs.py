"""Signs that stand for things, such as emoji, by the names that Unicode gives them: a cat's face is `cat face`."""

import unicodedata
from collections.abc import Callable
from typing import Final

_JOINING: Final = frozenset("\ufe0e\ufe0f\u200d\u20e3")
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_SIGN: Final = "So"
_MARKS: Final = frozenset("\u00a9\u00ae\u00b0\u2117\u2116\u2120\u2122")
"""Of rights, degrees and numbers: they show nothing."""
_ORNAMENTS: Final = frozenset("\u2605\u2606\u2661\u2665\u2713\u2714\u2717\u2718\u2764")
"""Stars, hearts and ticks: beside words they say how somebody likes it, not what it is."""


def named(text: str, is_known: Callable[[str], bool]) -> str:
    """The text with every sign that is not known spelled out, and without what shapes or adorns only. Pure."""
    if text.isascii():
        return text
    silent = _JOINING | _MARKS | (_ORNAMENTS if any(map(str.isalpha, text)) else frozenset())
    return "".join(_named(character, is_known, silent) for character in text)


def _named(character: str, is_known: Callable[[str], bool], silent: frozenset[str]) -> str:
    if character in silent or ord(character) in _SKIN_TONES:
        return character if is_known(character) else " "
    if unicodedata.category(character) != _SIGN or is_known(character):
        return character
    return f" {unicodedata.name(character, character).lower()} "

"""Signs that stand for things, such as emoji, by the names that Unicode gives them: a cat's face is `cat face`."""

import unicodedata
from collections.abc import Callable
from typing import Final

_JOINING: Final = frozenset("\ufe0e\ufe0f\u200d\u20e3")
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_SIGN: Final = "So"


def named(text: str, is_known: Callable[[str], bool]) -> str:
    """The text with every sign that is not known spelled out, and without what only shapes signs. Pure."""
    if text.isascii():
        return text
    return "".join(_named(character, is_known) for character in text)


def _named(character: str, is_known: Callable[[str], bool]) -> str:
    if character in _JOINING or ord(character) in _SKIN_TONES:
        return character if is_known(character) else " "
    if unicodedata.category(character) != _SIGN or is_known(character):
        return character
    return f" {unicodedata.name(character, character).lower()} "

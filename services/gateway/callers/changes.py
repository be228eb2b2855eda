"""What a call that is under way changes, and by whom: noted where it is known, for whoever keeps it."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from services.gateway.callers.auth import Caller

_MAX_CHARACTERS: Final = 200


@dataclass(slots=True)
class Change:
    """caller: None while nobody was let in. object: what it is about."""

    caller: Caller | None = None
    object: str = ""


_current: contextvars.ContextVar[Change | None] = contextvars.ContextVar("omma_change", default=None)


@contextmanager
def noting() -> Iterator[Change]:
    """What is noted while the block runs, in its tasks too."""
    change = Change()
    token = _current.set(change)
    try:
        yield change
    finally:
        _current.reset(token)


def made_by(caller: Caller) -> None:
    """Of the call that is under way; nothing where nobody notes."""
    change = _current.get()
    if change is not None:
        change.caller = caller


def concerns(kind: str, id: object) -> None:
    """As made_by. `picture 12`; the last one counts."""
    change = _current.get()
    if change is not None:
        change.object = f"{kind} {id}"[:_MAX_CHARACTERS]

"""Captions beside pictures: a file `captions.json` in their folder becomes tags and attributes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from omma.blobs.opening import open_file
from omma.catalog.interface import PictureChange
from omma.description import RowLimits
from omma.errors import OmmaError

CAPTIONS_FILE: Final = "captions.json"
"""`{file name: {"caption": text, "tags": [text, …], any other attribute: value}}`"""

_MAX_BYTES: Final = 16 << 20
_MAX_PARTS: Final = 1_000_000
"""Commas and opening brackets: each is one Python object at most, some 100 bytes, before anything is looked at."""

PassedOver = Callable[[Path, str], None]
"""Told of a picture, or of a captions file, and what of it was passed over."""


@dataclass(frozen=True, slots=True)
class Caption:
    tags: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


class Captions:
    """Looks captions up, one folder's file in memory at a time: a walk leaves a folder before it enters the next."""

    def __init__(self, passed_over: PassedOver, limits: RowLimits | None = None) -> None:
        """limits: what a row may hold; what is beyond them is passed over, and told."""
        self._passed_over = passed_over
        self._limits = limits or RowLimits()
        self._folder: Path | None = None
        self._entries: dict[str, Any] = {}

    def of(self, path: Path) -> Caption:
        """Empty when the folder has no captions or none for this file. Blocking."""
        if path.parent != self._folder:
            self._folder, self._entries = path.parent, self._read(path.parent / CAPTIONS_FILE)
        entry = self._entries.get(path.name)
        if entry is None:
            return Caption()
        if not isinstance(entry, dict):
            self._passed_over(path, "what its captions say is no object")
            return Caption()
        said = dict(entry)
        return Caption(tags=self._tags(path, said.pop("tags", [])), attributes=self._attributes(path, said))

    def _tags(self, path: Path, given: Any) -> tuple[str, ...]:
        if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
            self._passed_over(path, "tags are no list of texts")
            return ()
        kept = tuple(tag for tag in dict.fromkeys(given) if self._fits(path, PictureChange(tags=(tag,))))
        return kept if self._fits(path, PictureChange(tags=kept)) else ()

    def _attributes(self, path: Path, given: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: value for name, value in given.items() if self._fits(path, PictureChange(attributes={name: value}))
        }
        return kept if self._fits(path, PictureChange(attributes=kept)) else {}

    def _fits(self, path: Path, change: PictureChange) -> bool:
        try:
            self._limits.check(change)
        except OmmaError as error:
            self._passed_over(path, error.detail)
            return False
        return True

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            entries = json.loads(_content(path))
        except FileNotFoundError:
            return {}
        except RecursionError:
            self._passed_over(path, "it is nested too deeply")
            return {}
        except (OSError, ValueError) as error:
            self._passed_over(path, str(error))
            return {}
        if not isinstance(entries, dict):
            self._passed_over(path, "it is no object of file names")
            return {}
        return entries


def _content(path: Path) -> bytes:
    """Raises OSError, ValueError for more than memory is given to."""
    with open_file(path) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > _MAX_PARTS:
        raise ValueError(f"it has more than {_MAX_PARTS:,} parts")
    return content

"""Captions beside pictures: a file `captions.json` in their folder becomes tags and attributes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from omma.blobs.opening import open_file
from omma.description import Description, RowLimits

CAPTIONS_FILE: Final = "captions.json"
"""`{file name: {"caption": text, "tags": [text, …], any other attribute: value}}`"""

_MAX_BYTES: Final = 16 << 20
_MAX_PARTS: Final = 1_000_000
"""Commas and opening brackets: each is one Python object at most. 200 MB at the worst, measured."""

TellPassedOver = Callable[[Path, str], None]
"""Told of a picture, or of a captions file, and what of it was passed over."""


class Captions:
    """Looks captions up, one folder's file in memory at a time: a walk leaves a folder before it enters the next."""

    def __init__(self, tell: TellPassedOver, row_limits: RowLimits) -> None:
        """row_limits: of what a row may hold; what is beyond them is passed over, and told."""
        self._tell = tell
        self._row_limits = row_limits
        self._folder: Path | None = None
        self._entries: dict[str, Any] = {}

    def of(self, path: Path) -> Description:
        """Tags and attributes; empty when the folder has no captions or none for this file. Blocking."""
        if path.parent != self._folder:
            self._folder, self._entries = path.parent, self._read(path.parent / CAPTIONS_FILE)
        entry = self._entries.get(path.name, {})
        if not isinstance(entry, dict):
            self._tell(path, "what its captions say is no object")
            return Description()
        attributes = {name: value for name, value in entry.items() if name != "tags"}
        said, wrong = self._row_limits.sane_part(tags=entry.get("tags"), attributes=attributes)
        for one in wrong:
            self._tell(path, one.reason)
        return said

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            entries = json.loads(_content(path))
        except FileNotFoundError:
            return {}
        except RecursionError:
            self._tell(path, "it is nested too deeply")
            return {}
        except (OSError, ValueError) as error:
            self._tell(path, str(error))
            return {}
        if not isinstance(entries, dict):
            self._tell(path, "it is no object of file names")
            return {}
        return entries


def _content(path: Path) -> bytes:
    """Raises OSError, ValueError for more than memory is given to."""
    with open_file(path) as file:
        content = file.read(_MAX_BYTES + 1) or b""
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > _MAX_PARTS:
        raise ValueError(f"it has more than {_MAX_PARTS:,} parts")
    return content

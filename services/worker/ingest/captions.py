"""Captions beside pictures: a file `captions.json` in their folder becomes tags and attributes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

from omma.blobs.opening import open_file
from omma.description import Description, RowLimits
from omma.os_errors import require_some_left

CAPTIONS_FILE: Final = "captions.json"
"""`{file name: {"caption": text, "tags": [text, …], any other attribute: value}}`"""

_MAX_BYTES: Final = 16 << 20
_MAX_PARTS: Final = 1_000_000
"""Commas and opening brackets: each is one Python object at most. 200 MB at the worst, measured."""

_SHOWN: Final = 3

TellPassedOver = Callable[[Path, str], None]
"""Told of a picture, or of a captions file, and what of it was passed over."""


class Captions:
    """Looks captions up, one folder's file in memory at a time: a walk leaves a folder before it enters the next.

    changed_at_ms: when this folder's file was changed or put here, by the file system's clock; 0 where there is none.
    """

    def __init__(self, tell: TellPassedOver, row_limits: RowLimits) -> None:
        """row_limits: of what a row may hold; what is beyond them is passed over, and told."""
        self._tell = tell
        self._row_limits = row_limits
        self._folder: Path | None = None
        self._stamp: tuple[int, ...] = ()
        self._entries: dict[str, Any] = {}
        self._composed: dict[str, str] = {}
        self._used: set[str] = set()
        self.changed_at_ms = 0

    def of(self, path: Path) -> Description:
        """Tags and attributes; empty when the folder has no captions or none for this file. Blocking.

        A name is found however its accents are written: as one character, or, as a Mac has them, as two.
        """
        self.enter(path.parent)
        name = path.name if path.name in self._entries else self._composed.get(normalize("NFC", path.name))
        if name is None:
            return Description()
        self._used.add(name)
        entry = self._entries[name]
        if not isinstance(entry, dict):
            self._tell(path, "what its captions say is no object")
            return Description()
        attributes = {name: value for name, value in entry.items() if name != "tags"}
        said, wrong = self._row_limits.sane_part(tags=entry.get("tags"), attributes=attributes)
        for one in wrong:
            self._tell(path, one.reason)
        return said

    def enter(self, folder: Path) -> None:
        """Read the folder's captions, unless they are read and as they were. Blocking."""
        path = folder / CAPTIONS_FILE
        stamp = _stamp(path)
        if (folder, stamp) == (self._folder, self._stamp):
            return
        if folder != self._folder:
            self.leave()
        self._folder, self._stamp = folder, stamp
        self.changed_at_ms = stamp[-1] // 1_000_000 if stamp else 0
        self._entries = self._read(path)
        self._composed = {normalize("NFC", name): name for name in reversed(self._entries)}

    def leave(self) -> None:
        """Tell which entries no picture of the folder had."""
        unused = [name for name in self._entries if name not in self._used]
        if unused and self._folder is not None:
            some = ", ".join(repr(name[:80]) for name in unused[:_SHOWN])
            self._tell(
                self._folder / CAPTIONS_FILE,
                f"no picture beside it is called as {len(unused):,} of its entries: {some}",
            )
        self._folder, self._stamp, self._entries, self._composed, self._used = None, (), {}, {}, set()

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            entries = json.loads(_content(path))
        except FileNotFoundError:
            return {}
        except RecursionError:
            self._tell(path, "it is nested too deeply")
            return {}
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                require_some_left(error, str(path))
            self._tell(path, str(error))
            return {}
        if not isinstance(entries, dict):
            self._tell(path, "it is no object of file names")
            return {}
        return entries


def _stamp(path: Path) -> tuple[int, ...]:
    """Another one when the file is; the last number is when it was changed or put there, in ns. Empty without one."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _content(path: Path) -> bytes:
    """Raises OSError, ValueError for more than memory is given to."""
    with open_file(path) as file:
        content = file.read(_MAX_BYTES + 1) or b""
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > _MAX_PARTS:
        raise ValueError(f"it has more than {_MAX_PARTS:,} parts")
    return content

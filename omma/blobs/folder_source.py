"""A folder of a machine as a job names it: its path, or a `file://` URI where the path is no UTF-8."""

import os
from pathlib import Path, PurePosixPath
from typing import Final

from omma.blobs.originals import path_of
from omma.errors import InvalidQuery

_SCHEME: Final = "file://"
_MAX_BYTES: Final = 4_096


def folder_source(folder: PurePosixPath | Path | str) -> str:
    """One spelling of a folder, given as an absolute path or as a `file://` URI; text that JSON and databases take.

    Raises InvalidQuery, field `folder`.
    """
    text = str(folder)
    if text.startswith(_SCHEME):
        text = str(folder_of(text))
    path = PurePosixPath(text)
    if not path.is_absolute() or "\0" in text:
        raise InvalidQuery(f"{_shown(text)} is no absolute path.", field="folder")
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        raise InvalidQuery(f"{_shown(text)} is no path: it holds half of a surrogate pair.", field="folder") from None
    if len(name) > _MAX_BYTES:
        raise InvalidQuery(f"The path has more than {_MAX_BYTES} bytes.", field="folder", limit=_MAX_BYTES)
    try:
        return name.decode()
    except UnicodeDecodeError:
        return path.as_uri()


def folder_of(source: str) -> Path:
    """The folder that `folder_source` spelled. Raises InvalidQuery, field `folder`."""
    if not source.startswith(_SCHEME):
        return Path(source)
    try:
        return path_of(source)
    except (InvalidQuery, ValueError):
        raise InvalidQuery(f"{_shown(source)} is no folder of this machine.", field="folder") from None


def _shown(text: str) -> str:
    return ascii(text[:200])

"""Walking a folder of pictures: sorted, hidden things passed over, no folder entered twice."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omma.blobs.opening import open_folder
from omma.images import PICTURE_SUFFIXES
from omma.os_errors import require_some_left
from services.worker.ingest.names import is_hidden, is_nobodys, kind_of, suffix_of

_NO_FILE: Final = "no file"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file by name and stat, or what else was met. is_picture: a regular file with a picture's suffix.

    kind: what it is counted as when it is passed over. reason: why it, or the folder of this name, could not be looked
    at; bytes and mtime_ns are 0 then.
    """

    path: Path
    bytes: int = 0
    mtime_ns: int = 0
    is_picture: bool = False
    kind: str = ""
    reason: str = ""


def walk(folder: Path) -> Iterator[FoundFile]:
    """What lies below the folder, in the order of names: a folder's files, then its folders. Blocking.

    Links are followed, a folder that was entered already (by a link) is not entered again. As deep as it may be; one
    handle is open at a time. What cannot be looked at, folders too, comes with its reason. Raises Overloaded where the
    machine has no file left to open.
    """
    waiting = [folder.absolute()]
    entered: set[tuple[int, int]] = set()
    while waiting:
        here = waiting.pop()
        below: list[Path] = []
        try:
            handle = open_folder(here)
        except OSError as error:
            yield _unreachable(here, error)
            continue
        try:
            if _is_first_time(handle, entered):
                yield from _files(here, handle, below)
        finally:
            os.close(handle)
        waiting += reversed(below)


def count_pictures(folder: Path) -> int:
    """Blocking; about 1 s for 300,000 files that the system has in its cache."""
    return sum(found.is_picture for found in walk(folder))


def _is_first_time(handle: int, entered: set[tuple[int, int]]) -> bool:
    status = os.fstat(handle)
    identity = (status.st_dev, status.st_ino)
    if identity in entered:
        return False
    if status.st_ino:  # some file systems give every folder the same 0
        entered.add(identity)
    return True


def _files(here: Path, handle: int, below: list[Path]) -> Iterator[FoundFile]:
    """The files of one folder. below: its folders are added."""
    try:
        entries = sorted(os.scandir(handle), key=lambda entry: entry.name)
    except OSError as error:
        yield _unreachable(here, error)
        return
    for entry in entries:
        if is_hidden(entry.name):
            continue
        path = here / entry.name
        try:
            if not entry.is_dir():
                yield _found(path, entry.stat())
            elif is_nobodys(entry.name):
                yield FoundFile(path, kind=f"folder {entry.name}")
            else:
                below.append(path)
        except OSError as error:
            yield _unreachable(path, error)


def _found(path: Path, status: os.stat_result) -> FoundFile:
    if not stat.S_ISREG(status.st_mode):
        return FoundFile(path, kind=_NO_FILE)
    is_picture = suffix_of(path.name) in PICTURE_SUFFIXES
    return FoundFile(path, status.st_size, status.st_mtime_ns, is_picture, kind_of(path.name))


def _unreachable(path: Path, error: OSError) -> FoundFile:
    require_some_left(error, str(path))
    return FoundFile(path, reason=error.strerror or type(error).__name__)

"""Walking a folder of pictures: sorted, hidden things passed over, no folder entered twice."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PICTURE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file by name and stat; bytes and mtime_ns are 0 when it could not be looked at (a link to nowhere)."""

    path: Path
    bytes: int
    mtime_ns: int
    is_picture: bool

    @property
    def uri(self) -> str:
        return self.path.as_uri()


def walk(folder: Path) -> Iterator[FoundFile]:
    """Files below the folder in the order of their names, depth first. Blocking.

    Links are followed, a folder that was entered already (by a link) is not entered again. Folders that may not be
    read are passed over.
    """
    yield from _walk(folder.absolute(), set())


def count_pictures(folder: Path) -> int:
    """Blocking; about 1 s for 300,000 files that the system has in its cache."""
    return sum(found.is_picture for found in walk(folder))


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[FoundFile]:
    try:
        identity = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    if (identity.st_dev, identity.st_ino) in entered:
        return
    entered.add((identity.st_dev, identity.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), entered)
        else:
            yield _found(entry)


def _found(entry: os.DirEntry[str]) -> FoundFile:
    path = Path(entry.path)
    is_picture = path.suffix.lower() in PICTURE_SUFFIXES
    try:
        status = entry.stat()
    except OSError:
        return FoundFile(path, 0, 0, is_picture)
    return FoundFile(path, status.st_size, status.st_mtime_ns, is_picture)

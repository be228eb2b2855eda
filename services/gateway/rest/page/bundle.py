"""What `make page` built, out of one archive beside this module."""

import gzip
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

ARCHIVE: Final = "page.zip"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_COMPRESSED_ALREADY: Final = frozenset({".woff2"})


@dataclass(frozen=True, slots=True)
class File:
    """zipped: the same in gzip; None where that saves nothing. hashed: its name carries a hash of it."""

    content: bytes
    media_type: str
    zipped: bytes | None
    hashed: bool


@cache
def built() -> dict[str, File]:
    """By path within the build; empty without one."""
    archive = files(__package__).joinpath(ARCHIVE)
    if not archive.is_file():
        return {}
    with archive.open("rb") as opened, zipfile.ZipFile(opened) as entries:
        return {name: _file(name, entries.read(name)) for name in entries.namelist()}


def _file(name: str, content: bytes) -> File:
    kind = PurePosixPath(name).suffix
    zipped = None if kind in _COMPRESSED_ALREADY else gzip.compress(content, 9, mtime=0)
    return File(content, _TYPES.get(kind, "application/octet-stream"), zipped, name.startswith("assets/"))

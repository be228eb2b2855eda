"""Blobs: bytes under a key, written once or replaced whole."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from omma.errors import Absent, InvalidQuery, TooLarge
from omma.identity import Sha256

_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_MAX_KEY_CHARACTERS: Final = 512
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WEBP: Final = ".webp"

ORIGINALS: Final = "originals/"
THUMBNAILS: Final = "thumbnails/"
"""What the keys of originals and of thumbnails begin with, in the order of their sha256."""


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """An upload that the storage takes without asking us, for a while: PUT with exactly these headers."""

    url: str
    headers: Mapping[str, str]
    seconds: int


class Blobs(Protocol):
    """Keys are relative paths of [A-Za-z0-9._/-] without `..`. A key is either absent or holds whole, durable bytes.

    Raises Absent for a key that is not there, StorageFull when the storage is, ReplicaDown or Overloaded when it does
    not answer, Corrupt when it answers other bytes than were put.
    """

    async def put(self, key: str, content: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Durable when it returns."""

    async def put_file(self, key: str, path: Path) -> None: ...

    async def presigned_put(self, key: str, *, bytes: int, content_type: str) -> PresignedPut | None:
        """An upload of exactly so many bytes, 1 or more, of that type, which nobody has to pass through us.

        None: this storage has no addresses of its own.
        """

    async def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """max_bytes: of a larger blob nothing is read; raises TooLarge."""

    def pieces(self, key: str, max_bytes: int | None = None) -> AsyncIterator[bytes]:
        """The blob's bytes, a mebibyte at a time. Raises, at the first, what `get` does; later it may break off."""

    async def get_file(self, key: str, path: Path) -> None:
        """Copy the blob to path; the file appears whole or not at all."""

    async def size(self, key: str) -> int | None:
        """Bytes, None when absent."""

    async def delete(self, key: str) -> None:
        """No error when absent."""

    def keys(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """In order, those that come after this one."""

    async def close(self) -> None: ...


def original_key(sha256: str) -> str:
    return f"{ORIGINALS}{sha256[:2]}/{sha256}"


def of_space(space: str) -> str:
    """The prefix of what is told of a space beside its vectors, for whoever has no model. space: its id."""
    return f"spaces/{space}/"


def thumbnail_key(sha256: str) -> str:
    return f"{THUMBNAILS}{sha256[:2]}/{sha256}{_WEBP}"


def sha256_of_key(key: str) -> Sha256 | None:
    """Of an original or a thumbnail; None for a key that is neither's."""
    name = key.rpartition("/")[2].removesuffix(_WEBP)
    known = _SHA256.fullmatch(name) and key in (original_key(name), thumbnail_key(name))
    return Sha256(name) if known else None


def checked_key(key: str) -> str:
    """The key. Raises InvalidQuery for one that is none."""
    if len(key) > _MAX_KEY_CHARACTERS or not _KEY.fullmatch(key):
        raise InvalidQuery(f"{key[:80]!r} is no key of a blob.", field="key")
    return key


def absent(key: str) -> Absent:
    return Absent(f"There is no blob {key!r}.", field="key")


def require_size(key: str, found: int, max_bytes: int | None) -> None:
    """Raises TooLarge. max_bytes: None: any size will do."""
    if max_bytes is not None and found > max_bytes:
        raise TooLarge(f"The blob {key!r} has more than {max_bytes} bytes.", field="key", limit=max_bytes)

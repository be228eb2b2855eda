"""Blobs: bytes under a key, written once or replaced whole."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

from omma.errors import Absent, InvalidQuery, TooLarge

_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_MAX_KEY_CHARACTERS: Final = 512


class Blobs(Protocol):
    """Keys are relative paths of [A-Za-z0-9._/-] without `..`. A key is either absent or holds whole, durable bytes.

    Raises Absent for a key that is not there, StorageFull when the storage is, ReplicaDown or Overloaded when it does
    not answer, Corrupt when it answers other bytes than were put.
    """

    async def put(self, key: str, content: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Durable when it returns."""

    async def put_file(self, key: str, path: Path) -> None: ...

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

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """In order."""

    async def close(self) -> None: ...


def original_key(sha256: str) -> str:
    return f"originals/{sha256[:2]}/{sha256}"


def thumbnail_key(sha256: str) -> str:
    return f"thumbnails/{sha256[:2]}/{sha256}.webp"


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

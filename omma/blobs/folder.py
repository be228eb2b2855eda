"""Blobs in a folder: one file a key."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from omma.blobs.files import sync_folder, whole_file
from omma.blobs.interface import Blobs, absent, checked_key, require_size
from omma.blobs.pieces import pieces
from omma.errors import ReplicaDown, StorageFull, TooLarge
from omma.os_errors import file_error

T = TypeVar("T")

_STAGING: Final = ".staging"
"""Files lie here until they are whole: no key starts with a dot."""
_THREADS: Final = 4
_LISTED_AT_ONCE: Final = 1_000


class FolderBlobs(Blobs):
    """Files under `root`, each written beside, synced, and renamed into place; one process at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="omma-blobs")

    @classmethod
    async def open(cls, root: Path) -> "FolderBlobs":
        """By the only process that uses the folder: what a death left half written goes."""
        blobs = cls(root)
        await blobs._run(partial(shutil.rmtree, root / _STAGING, ignore_errors=True))
        return blobs

    async def put(self, key: str, content: bytes, *, content_type: str = "application/octet-stream") -> None:
        """The content type is not kept: whoever serves a blob knows what its key holds."""
        await self._run(partial(self._put, self._path(key), content))

    async def put_file(self, key: str, path: Path) -> None:
        await self._run(partial(self._put, self._path(key), path))

    async def presigned_put(self, key: str, *, bytes: int, content_type: str) -> None:
        """None."""

    async def get(self, key: str, max_bytes: int | None = None) -> bytes:
        return await self._run(partial(_read, self._path(key), key, max_bytes))

    def pieces(self, key: str, max_bytes: int | None = None) -> AsyncIterator[bytes]:
        return pieces(self._run, partial(_open, self._path(key), key, max_bytes))

    async def get_file(self, key: str, path: Path) -> None:
        await self._run(partial(_copy_out, self._path(key), key, path))

    async def size(self, key: str) -> int | None:
        return await self._run(partial(_size, self._path(key)))

    async def delete(self, key: str) -> None:
        await self._run(partial(_delete, self._path(key)))

    async def keys(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        walk = _walk(self._root, "", prefix, after)
        while found := await self._run(lambda: list(islice(walk, _LISTED_AT_ONCE))):
            for key in found:
                yield key

    async def close(self) -> None:
        """Ends the threads."""
        self._executor.shutdown(wait=False)

    async def _run(self, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, job)
        except OSError as error:
            if isinstance(file_error(error, "the disk"), StorageFull):
                raise StorageFull("The disk is full. Nothing was written; free some space and try again.") from error
            raise ReplicaDown("The folder of blobs cannot be read or written now.") from error

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _put(self, path: Path, source: bytes | Path) -> None:
        staging = self._root / _STAGING
        staging.mkdir(parents=True, exist_ok=True)
        _make_folder(path.parent, self._root)
        _replace(path, source, staging)


def _replace(path: Path, source: bytes | Path, staging: Path) -> None:
    with whole_file(path, staging) as file:
        if isinstance(source, Path):
            with source.open("rb") as content:
                shutil.copyfileobj(content, file, 1 << 20)
        else:
            file.write(source)


def _make_folder(folder: Path, root: Path) -> None:
    """Make the folder and those above it, durably."""
    missing = [one for one in (folder, *folder.parents) if one.is_relative_to(root) and not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def _read(path: Path, key: str, max_bytes: int | None) -> bytes:
    with _open(path, key, max_bytes) as file:
        return file.read()


def _open(path: Path, key: str, max_bytes: int | None) -> BinaryIO:
    try:
        file = path.open("rb")
    except (FileNotFoundError, IsADirectoryError):
        raise absent(key) from None
    try:
        require_size(key, os.fstat(file.fileno()).st_size, max_bytes)
    except TooLarge:
        file.close()
        raise
    return file


def _copy_out(path: Path, key: str, to: Path) -> None:
    if not path.is_file():
        raise absent(key)
    _replace(to, path, to.parent)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _delete(path: Path) -> None:
    if path.is_file():
        path.unlink()
        sync_folder(path.parent)


def _walk(folder: Path, at: str, prefix: str, after: str) -> Iterator[str]:
    """Keys that start with the prefix, in order, beyond `after`; folders that cannot hold any are passed over."""
    if not folder.is_dir():
        return
    # A folder sorts as its name with the slash: `a.b` comes before `a/c`, as it does among keys.
    names = {f"{entry.name}/" if entry.is_dir() else entry.name for entry in os.scandir(folder)}
    for name in sorted(names):
        key = at + name
        if name == f"{_STAGING}/" or not (key.startswith(prefix) or (name.endswith("/") and prefix.startswith(key))):
            continue
        if name.endswith("/"):
            if key > after or after.startswith(key):
                yield from _walk(folder / name, key, prefix, after)
        elif key > after:
            yield key

"""Original pictures: in our blobs by their sha256, or in place where a local folder or another bucket holds them."""

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes, urlsplit

from omma.blobs.interface import Blobs, original_key
from omma.blobs.object_uri import place_of
from omma.blobs.objects import Objects
from omma.blobs.opening import open_file
from omma.blobs.pieces import pieces
from omma.blocking import BlockingCalls
from omma.errors import Absent, Corrupt, InvalidQuery, TooLarge
from omma.identity import Sha256
from omma.os_errors import file_error
from omma.scanning import Scanner, Unscanned
from omma.telemetry.context import run_in

_OURS: Final = "omma:"
_THREADS: Final = 4
_FILES_AT_ONCE: Final = 8
_HUNG_FILES: Final = 32
_FILE_SECONDS: Final = 60.0
"""For one file; a share whose server is away lets a read hang for ever."""


class Originals:
    """Reads verify: what comes back has the sha256 that its row says."""

    def __init__(self, blobs: Blobs, objects: Objects | None = None, scanner: Scanner | None = None) -> None:
        """objects: None: there are none, `s3://` is refused. scanner: looks at what comes into our blobs, and at what
        lies elsewhere each time it is read.
        """
        self._scanner = scanner or Unscanned()
        self._blobs = blobs
        self._objects = objects
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="omma-originals")
        self._files = BlockingCalls("omma-files", at_once=_FILES_AT_ONCE, left_behind=_HUNG_FILES)

    async def read(self, uri: str, sha256: Sha256, max_bytes: int) -> bytes:
        """The original's bytes. uri: `file://…`, `s3://…` or `omma:<sha256>`.

        Raises what is the original's own fault: Absent (it vanished, or is no file), Corrupt (other bytes than were
        ingested), TooLarge, InvalidQuery (another uri), InvalidPicture (what the scanner found). And what is the
        machine's, which may go better another time: ReplicaDown, Overloaded, OutOfTime (a disk or a share that does not
        answer), StorageFull.
        """
        if uri == uri_of(sha256):
            content = await self._blobs.get(original_key(sha256), max_bytes)
        elif urlsplit(uri).scheme == "file":
            content, _ = await self._files.run(_FILE_SECONDS, read_file, path_of(uri), max_bytes)
        elif self._objects is not None and urlsplit(uri).scheme == "s3":
            content = await self._objects.read(*place_of(uri), max_bytes)
        else:
            raise InvalidQuery(f"{uri[:200]!r} is no place of an original that Omma reads.", field="uri")
        if await run_in(self._executor, sha256_of, content) != sha256:
            raise _changed(uri)
        if uri != uri_of(sha256):
            await self._scanner.require_clean(content)
        return content

    async def pieces(self, uri: str, sha256: Sha256, size: int) -> AsyncIterator[bytes]:
        """The original's bytes, about a mebibyte at a time: what is sent out is not held whole.

        size: as the row says. The last piece comes only when the whole has the row's sha256. Raises as `read`.
        """
        digest, seen, held = hashlib.sha256(), 0, b""
        try:
            async with aclosing(self._unchecked(uri, sha256, size)) as coming:
                async for piece in coming:
                    seen += len(piece)
                    await run_in(self._executor, digest.update, piece)
                    if held:
                        yield held
                    held = piece
        except TooLarge:
            raise _changed(uri) from None
        if seen != size or digest.hexdigest() != sha256:
            raise _changed(uri)
        yield held

    async def _unchecked(self, uri: str, sha256: Sha256, max_bytes: int) -> AsyncGenerator[bytes, None]:
        if uri == uri_of(sha256):
            coming = self._blobs.pieces(original_key(sha256), max_bytes)
        elif urlsplit(uri).scheme == "file":
            coming = pieces(partial(self._files.run, _FILE_SECONDS), partial(_open_file, path_of(uri), max_bytes))
        else:
            yield await self.read(uri, sha256, max_bytes)
            return
        async for piece in coming:
            yield piece

    async def put(self, content: bytes) -> tuple[Sha256, str]:
        """Keep an upload under the sha256 of its bytes; durable when it returns. Returns (sha256, uri).

        Raises as Scanner.require_clean, and what the storage raises; nothing is kept then.
        """
        await self._scanner.require_clean(content)
        sha256 = await run_in(self._executor, sha256_of, content)
        # Without asking first whether it is there: most uploads are new, and a question costs as much as a put.
        await self._blobs.put(original_key(sha256), content)
        return sha256, uri_of(sha256)

    async def close(self) -> None:
        """Ends the threads; blobs and objects stay open."""
        self._executor.shutdown(wait=False)


def uri_of(sha256: Sha256) -> str:
    """The uri of an original that lies in our blobs."""
    return f"{_OURS}{sha256}"


def plain_key(uri: str, sha256: Sha256) -> str:
    """The key of a picture that was given none: where its original lies, or for one in our blobs the sha256."""
    return sha256 if uri == uri_of(sha256) else uri


def path_of(uri: str) -> Path:
    """The file that a `file://` uri names, whatever the encoding of its name. Raises InvalidQuery for another host."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise InvalidQuery(f"{uri[:200]!r} is no file on this machine.", field="uri")
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))


def sha256_of(content: bytes) -> Sha256:
    """Blocking: about 1 ms a MB."""
    return Sha256(hashlib.sha256(content).hexdigest())


def read_file(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a file, and what the system said of it before they were read. Blocking.

    Raises as Originals.read, whatever the path is.
    """
    with _open_file(path, max_bytes) as file:
        try:
            status = os.fstat(file.fileno())
            content = file.read(max_bytes + 1) or b""  # None: of a file that may have some later, as /proc/kmsg
        except OSError as error:
            raise file_error(error, _shown(path)) from error
    if len(content) > max_bytes:
        raise _too_large(_shown(path), max_bytes)
    return content, status


def _open_file(path: Path, max_bytes: int) -> BinaryIO:
    try:
        file = open_file(path)
    except OSError as error:
        raise file_error(error, _shown(path)) from error
    except ValueError:  # a name that no file can have
        raise Absent(f"{_shown(path)} is no longer there; ingest its folder again.", field="uri") from None
    if os.fstat(file.fileno()).st_size > max_bytes:
        file.close()
        raise _too_large(_shown(path), max_bytes)
    return file


def _changed(uri: str) -> Corrupt:
    return Corrupt(f"{uri} has changed since it was ingested; ingest it again.", field="uri")


def _shown(path: Path) -> str:
    """Of a name in another encoding than UTF-8 as much as text can say."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _too_large(what: str, max_bytes: int) -> TooLarge:
    return TooLarge(f"{what} has more than {max_bytes} bytes.", field="uri", limit=max_bytes)

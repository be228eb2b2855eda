"""Looking at the files of a walk: which are new, changed or to be tried again, and what their bytes are."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from omma.blobs.opening import open_file
from omma.catalog.picture import NewPicture
from omma.description import MAX_KEY_BYTES, Description
from omma.identity import ImageId, Sha256
from omma.os_errors import require_some_left
from services.worker.ingest.captions import CAPTIONS_FILE, Captions
from services.worker.ingest.follower import unread
from services.worker.ingest.told import Told
from services.worker.ingest.walk import FoundFile

BATCH_FILES: Final = 64
_PIECE_BYTES: Final = 1 << 20
_SKEW_MS: Final = 2_000
"""Of a file system's clock and the catalog's; and captions may change while the rows of a batch are being written."""


class KnownFile(NamedTuple):
    """What the catalog has of a file. changed_at_ms: of the row. dead: it could not be read, and is tried again."""

    id: ImageId
    sha256: Sha256
    bytes: int
    mtime_ns: int
    changed_at_ms: int
    dead: bool


@dataclass(slots=True)
class Looked:
    """What one batch of files turned out to be. again: keys of dead rows that are tried again."""

    files: int = 0
    pictures: int = 0
    unchanged: int = 0
    new: list[NewPicture] = field(default_factory=list)
    again: set[str] = field(default_factory=set)


class Looker:
    """Looks at a walk's files, a batch at a time. known: those that are seen are taken out of it."""

    def __init__(
        self,
        files: Iterator[FoundFile],
        known: dict[str, KnownFile],
        captions: Captions,
        told: Told,
        *,
        max_bytes: int,
        said: Description,
    ) -> None:
        """max_bytes: a larger picture is not read: it gets a row, and dies of its size. said: owner and private of all
        that is new or changed.
        """
        self._said = said
        self._files = files
        self._known = known
        self._captions = captions
        self._told = told
        self._max_bytes = max_bytes

    def look(self) -> Looked:
        """The next batch; without files at the end. Reads those whose size or time the catalog has not. Blocking.

        Raises Overloaded where the machine has no file left to open.
        """
        looked = Looked()
        for found in islice(self._files, BATCH_FILES):
            looked.files += 1
            if found.reason:
                self._unreadable(found.path, found.reason)
            elif found.is_picture:
                looked.pictures += 1
                self._look_at(found, looked)
            elif found.path.name == CAPTIONS_FILE:
                self._captions.enter(found.path.parent)
            else:
                self._told.skip(found.kind)
        if not looked.files:
            self._captions.leave()
        return looked

    def _look_at(self, found: FoundFile, looked: Looked) -> None:
        uri = found.path.as_uri()
        known = self._known.pop(uri, None)
        caption = self._captions.of(found.path)
        if known is not None and not known.dead and (known.bytes, known.mtime_ns) == (found.bytes, found.mtime_ns):
            self._look_at_captions(uri, known, caption, looked)
            return
        if len(uri) > MAX_KEY_BYTES:
            self._unreadable(found.path, f"its path has more than {MAX_KEY_BYTES} characters as a URI")
            return
        if not found.bytes:
            self._unreadable(found.path, "it is empty")
            return
        try:
            sha256, status = self._read(found.path)
        except OSError as error:
            require_some_left(error, str(found.path))
            self._unreadable(found.path, error.strerror or str(error))
            return
        if known is not None and known.dead:
            looked.again.add(uri)
        looked.new.append(
            NewPicture(
                key=uri,
                sha256=sha256,
                uri=uri,
                bytes=status.st_size,
                owner=self._said.owner,
                tags=caption.tags,
                attributes=caption.attributes,
                mtime_ns=status.st_mtime_ns,
                private=self._said.private,
            )
        )

    def _look_at_captions(self, uri: str, known: KnownFile, caption: Description, looked: Looked) -> None:
        """Of a picture that did not change. What somebody said of its row after the captions were written stays."""
        is_newer = self._captions.changed_at_ms + _SKEW_MS > known.changed_at_ms
        if not is_newer or not (caption.tags or caption.attributes):
            looked.unchanged += 1
            return
        looked.new.append(
            NewPicture(
                key=uri,
                sha256=known.sha256,
                uri=uri,
                bytes=known.bytes,
                tags=caption.tags,
                attributes=caption.attributes,
                mtime_ns=known.mtime_ns,
            )
        )

    def _read(self, path: Path) -> tuple[Sha256, os.stat_result]:
        """Of the bytes, and of the file as it was when it was opened. Raises OSError."""
        with open_file(path) as file:
            status = os.fstat(file.fileno())
            digest, size = hashlib.sha256(), 0
            while size <= self._max_bytes and (piece := file.read(_PIECE_BYTES)):
                digest.update(piece)
                size += len(piece)
        if size > self._max_bytes:
            return unread(path.as_uri(), f"{status.st_size} {status.st_mtime_ns}"), status
        return Sha256(digest.hexdigest()), status

    def _unreadable(self, path: Path, reason: str) -> None:
        self._told.tell("unreadable", path.as_uri(), reason)

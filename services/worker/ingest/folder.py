"""Ingest of a folder: its pictures are referenced, and a second run reconciles what changed, moved or vanished."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from omma.blobs.originals import path_of
from omma.catalog.interface import Catalog, Change, DeletedBy, NewPicture
from omma.errors import InvalidQuery
from omma.identity import ImageId, Sha256, Tenant
from omma.outbox import Outbox
from omma.telemetry.context import run_in
from services.worker.ingest.captions import Captions
from services.worker.ingest.walk import FoundFile, count_pictures, walk
from services.worker.jobs.progress import Progress

_BATCH_FILES: Final = 64


class _Known(NamedTuple):
    bytes: int
    mtime_ns: int


@dataclass(slots=True)
class _Looked:
    """What one batch of files turned out to be."""

    files: int = 0
    pictures: int = 0
    unchanged: int = 0
    unreadable: int = 0
    new: list[NewPicture] = field(default_factory=list)


class FolderIngest:
    """Brings the catalog up to a folder. Every step may be repeated: the next run goes on from a broken one.

    A file keeps its row by its uri. One that moved becomes a new row, which takes its vectors from the old row's, so
    `indexed`, which returns when every event so far is handled, is awaited before vanished rows are deleted.
    Memory: about 300 bytes a picture that the catalog has of this folder.
    """

    def __init__(
        self, catalog: Catalog, outbox: Outbox, executor: Executor, indexed: Callable[[], Awaitable[None]]
    ) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._executor = executor
        self._indexed = indexed

    async def run(self, folder: Path, tenant: Tenant, progress: Progress, *, revive: bool = False) -> None:
        """progress: updated as it goes. revive: also what a caller deleted comes back.

        Returns when every change is searchable or a dead letter.

        Raises InvalidQuery, field `folder`, when there is no such folder.
        """
        folder = await run_in(self._executor, require_folder, folder)
        progress.counts["pictures"] = await run_in(self._executor, count_pictures, folder)
        known = await self._known(tenant, folder)
        files = walk(folder)
        captions = Captions()
        while (looked := await run_in(self._executor, _look_at, files, known, captions)).files:
            await self._write(tenant, looked.new, progress, revive)
            progress.counts["looked_at"] += looked.pictures
            progress.counts["unchanged"] += looked.unchanged
            progress.counts["unreadable"] += looked.unreadable
            progress.counts["skipped"] += looked.files - looked.pictures
        await self._indexed()
        await self._delete_vanished(tenant, folder, progress)

    async def _known(self, tenant: Tenant, folder: Path) -> dict[str, _Known]:
        rows = self._catalog.referenced_files(tenant, _prefix(folder))
        return {row.key: _Known(row.bytes, row.mtime_ns) async for row in rows}

    async def _write(self, tenant: Tenant, new: list[NewPicture], progress: Progress, revive: bool) -> None:
        if not new:
            return
        changes = await self._catalog.upsert(tenant, new, revive=revive)
        await self._outbox.send(changes)
        progress.counts["created"] += sum(change.change is Change.CREATED for change in changes)
        progress.counts["changed"] += sum(change.change is Change.CHANGED for change in changes)
        progress.counts["unchanged"] += sum(change.change is Change.SAME for change in changes)

    async def _delete_vanished(self, tenant: Tenant, folder: Path, progress: Progress) -> None:
        rows = [(row.id, row.key) async for row in self._catalog.referenced_files(tenant, _prefix(folder))]
        gone = await run_in(self._executor, _gone, rows)
        for start in range(0, len(gone), _BATCH_FILES):
            some = gone[start : start + _BATCH_FILES]
            changes = await self._catalog.delete(tenant, some, by=DeletedBy.ABSENCE)
            await self._outbox.send(changes)
            progress.counts["vanished"] += len(changes)
        if gone:
            await self._indexed()


def require_folder(folder: Path) -> Path:
    """The folder as an absolute path. Raises InvalidQuery, field `folder`, which names what is not supported yet."""
    text = str(folder)
    if "://" in text or text.startswith("s3:/"):
        raise InvalidQuery(f"{text} is a URL or bucket, and no folder.", field="folder")
    if folder.is_file():
        raise InvalidQuery(f"{text} is a file; only a folder can be ingested so far, no list.", field="folder")
    if not folder.is_dir():
        raise InvalidQuery(f"There is no folder {text}.", field="folder")
    return folder.absolute()


def _look_at(files: Iterator[FoundFile], known: Mapping[str, _Known], captions: Captions) -> _Looked:
    """Take the next files of the walk; read and hash those whose size or time is not what the catalog has. Blocking."""
    looked = _Looked()
    for found in islice(files, _BATCH_FILES):
        looked.files += 1
        if not found.is_picture:
            continue
        looked.pictures += 1
        uri = found.path.as_uri()
        if known.get(uri) == (found.bytes, found.mtime_ns):
            looked.unchanged += 1
            continue
        try:
            sha256 = _sha256(found.path)
        except OSError:
            looked.unreadable += 1
            continue
        caption = captions.of(found.path)
        looked.new.append(
            NewPicture(
                key=uri,
                sha256=sha256,
                uri=uri,
                bytes=found.bytes,
                tags=caption.tags,
                attributes=caption.attributes,
                mtime_ns=found.mtime_ns,
            )
        )
    return looked


def _sha256(path: Path) -> Sha256:
    with path.open("rb") as file:
        return Sha256(hashlib.file_digest(file, "sha256").hexdigest())


def _prefix(folder: Path) -> str:
    return folder.as_uri().rstrip("/") + "/"


def _gone(rows: list[tuple[ImageId, str]]) -> list[ImageId]:
    return [image_id for image_id, uri in rows if not path_of(uri).exists()]

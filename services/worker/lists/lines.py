"""The lines of one list, side by side within bounds: each is found, kept and written, or told why not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from omma.blobs.interface import Blobs, original_key
from omma.blobs.originals import Originals, uri_of
from omma.catalog.download import Download, Taken
from omma.catalog.interface import Catalog
from omma.catalog.picture import NewPicture
from omma.collection import is_kept
from omma.errors import InvalidPicture, OmmaError, TooLarge
from omma.identity import Sha256, Tenant
from omma.picture_list import Listed, WrongLine
from omma.room import OVER_QUOTA, refusal
from omma.uploads import SCHEME, upload_key, upload_of
from services.worker.lists.places import Found, Places, Refused
from services.worker.lists.recorder import Recorder

_BATCH_LINES: Final = 64
_WINDOW_LINES: Final = 1_024
"""Begun and not ended: so many of one slow host keep nobody else waiting."""


@dataclass(frozen=True, slots=True)
class Run:
    """One ingest of one list. name: in what is kept of each line. refetch: also what an earlier run downloaded."""

    tenant: Tenant
    name: str
    list_sha256: str
    refetch: bool


class Lines:
    """For one run. The places are closed, and the recorder is run, by whoever made them."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: Blobs,
        originals: Originals,
        places: Places,
        recorder: Recorder,
        *,
        run: Run,
        at_once: int,
    ) -> None:
        """at_once: lines that hold a picture."""
        self._catalog = catalog
        self._blobs = blobs
        self._originals = originals
        self._places = places
        self._recorder = recorder
        self._run = run
        self._holding = asyncio.Semaphore(at_once)
        self._window = asyncio.Semaphore(_WINDOW_LINES)

    async def all(self, lines: Iterator[Listed | WrongLine], room: Callable[[], Awaitable[None]]) -> None:
        """Every line that this run has not ended yet; each key is there once, and nobody else is at work on it.

        room: awaited before some are begun. Raises OmmaError.
        """
        try:
            async with asyncio.TaskGroup() as group:
                while batch := list(islice(lines, _BATCH_LINES)):
                    await room()
                    await self._begin(group, batch)
        except BaseExceptionGroup as failed:
            fault = _first(failed)
            if isinstance(fault, OmmaError):
                raise fault from None
            raise

    async def _begin(self, group: asyncio.TaskGroup, batch: list[Listed | WrongLine]) -> None:
        keys = [self._key(line) for line in batch]
        known = await self._catalog.downloads(self._run.tenant, keys)
        for key, line in zip(keys, batch, strict=True):
            before = known.get(key)
            if before is not None and before.run == self._run.name:
                continue
            await self._window.acquire()
            group.create_task(self._end(key, line, before))

    def _key(self, line: Listed | WrongLine) -> str:
        return line.key if isinstance(line, Listed) else f"line {line.line} of {self._run.list_sha256}"

    async def _end(self, key: str, line: Listed | WrongLine, before: Download | None) -> None:
        try:
            if isinstance(line, WrongLine):
                wrong = Download(key, f"line {line.line}", self._run.name, "wrong_line", line.reason)
                await self._recorder.write(wrong)
            elif not await self._again(line, before):
                await self._anew(line)
        finally:
            self._window.release()

    async def _again(self, line: Listed, before: Download | None) -> bool:
        """The row of a picture that an earlier run downloaded; False when it has to be downloaded."""
        if self._run.refetch or before is None or before.sha256 is None or before.place != line.place:
            return False
        if not line.scheme.startswith("http") or await self._blobs.size(original_key(before.sha256)) is None:
            return False
        sha256 = before.sha256
        found = Found(
            sha256, uri_of(sha256), before.bytes, None, None, before.status, before.media_type, before.latency_ms
        )
        await self._write(line, found)
        return await is_kept(self._catalog, self._blobs, sha256)

    async def _anew(self, line: Listed) -> None:
        # A place is held until the row is durable: what waits to be written holds its picture.
        async with self._holding:
            try:
                found = await self._places.find(line)
                if found.content is not None:
                    await self._require_room(line, found)
                    await self._kept(found.content)
            except Refused as refused:
                failed = Download(
                    line.key, line.place, self._run.name, refused.name, refused.reason, status=refused.status
                )
                await self._recorder.write(failed)
                return
            outcome = await self._write(line, found)
            if found.content is not None:
                await self._settle(found.sha256, found.content, outcome)
            if line.scheme == SCHEME:
                await self._blobs.delete(upload_key(self._run.tenant, upload_of(line.place)))

    async def _require_room(self, line: Listed, found: Found) -> None:
        """Raises Refused: the tenant keeps as much as it may."""
        no_room = await refusal(self._catalog, self._run.tenant, found.size, partial(_key, line, found))
        if no_room is not None:
            raise Refused(OVER_QUOTA, no_room.detail)

    async def _kept(self, content: bytes) -> None:
        """Raises Refused: what is wrong with the picture; OmmaError: with this machine, all may be tried again."""
        try:
            await self._originals.put(content)
        except (InvalidPicture, TooLarge) as error:
            raise Refused(error.kind, error.detail) from error

    async def _settle(self, sha256: Sha256, content: bytes, outcome: str) -> None:
        """The bytes stay where a row needs them, and go where none does."""
        if outcome in (Taken.LEFT_DELETED, OVER_QUOTA):
            await self._catalog.note_orphans({sha256})
        elif not await is_kept(self._catalog, self._blobs, sha256):
            await self._originals.put(content)

    async def _write(self, line: Listed, found: Found) -> str:
        said = line.description
        is_web = line.scheme.startswith("http")
        picture = NewPicture(
            key=await _key(line, found),
            sha256=found.sha256,
            uri=found.uri,
            bytes=found.size,
            owner=said.owner,
            tags=said.tags,
            source_url=said.source_url or (line.place if is_web else ""),
            attributes=said.attributes,
            private=said.private,
            mtime_ns=found.mtime_ns,
        )
        download = Download(
            line.key,
            line.place,
            self._run.name,
            Taken.UNCHANGED,
            status=found.status,
            latency_ms=found.latency_ms,
            bytes=found.size,
            media_type=found.media_type,
            sha256=found.sha256,
        )
        return await self._recorder.write(download, picture)


async def _key(line: Listed, found: Found) -> str:
    """Of the row."""
    return line.description.external_id or (found.sha256 if line.scheme == SCHEME else line.place)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

"""Ingest of a folder: its pictures are referenced, and a second run reconciles what changed, moved or vanished."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from omma.blocking import BlockingCalls
from omma.catalog.interface import Catalog
from omma.catalog.picture import Change, DeletedBy, Picture, PictureChange
from omma.description import Description, RowLimits
from omma.errors import InvalidQuery, TooLarge
from omma.identity import ImageId, Sha256, Tenant
from omma.outbox import Outbox
from omma.room import NO_ROOM
from services.worker.ingest.absence import away, folders_of, judge
from services.worker.ingest.captions import Captions
from services.worker.ingest.look import BATCH_FILES, KnownFile, Looked, Looker
from services.worker.ingest.told import MAX_EXAMPLES, Told
from services.worker.ingest.walk import count_pictures, walk
from services.worker.jobs.progress import Progress

_WALKS_AT_ONCE: Final = 64
_HUNG_WALKS: Final = 16
_HOW_TO_FORGET: Final = (
    "They are kept: a disk may not be mounted. If they are deleted, ingest with forget_missing (omma ingest "
    "--forget-missing)."
)


class FolderIngest:
    """Brings the catalog up to a folder. Every step may be repeated: the next run goes on from a broken one.

    A file keeps its row by its uri. One that moved becomes a new row, which takes its vectors from the old row's, so
    `indexed`, which returns when every event so far is handled, is awaited before vanished rows are deleted.
    A disk that hangs holds up nobody else, and a run can always be cancelled.
    Memory: about 550 bytes a picture that the catalog has of this folder.
    """

    def __init__(
        self,
        catalog: Catalog,
        outbox: Outbox,
        indexed: Callable[[], Awaitable[None]],
        *,
        max_picture_bytes: int,
        row_limits: RowLimits,
    ) -> None:
        """row_limits: of what captions say."""
        self._catalog = catalog
        self._outbox = outbox
        self._indexed = indexed
        self._max_bytes = max_picture_bytes
        self._row_limits = row_limits
        self._calls = BlockingCalls("omma-folders", at_once=_WALKS_AT_ONCE, left_behind=_HUNG_WALKS)

    async def run(
        self,
        folder: Path,
        tenant: Tenant,
        progress: Progress,
        said: Description | None = None,
        *,
        forget_missing: bool = False,
        revive: bool = False,
    ) -> Mapping[str, Any]:
        """progress: updated as it goes. Returns what it tells, when every change is searchable or a dead letter.

        said: of all that is new or changed.

        revive: also what a caller deleted comes back.

        forget_missing: also what is away with its folder or its disk is taken as deleted. Raises InvalidQuery, field
        `folder`, when there is no such folder; Overloaded when too many walks hang, or no file can be opened.
        """
        counts = progress.counts
        folder = await self._calls.run(None, require_folder, folder)
        counts["pictures"] = await self._calls.run(None, count_pictures, folder)
        known = await self._known(tenant, folder)
        held = folders_of(known)
        told = Told(counts)
        captions = Captions(
            lambda path, reason: told.tell("captions_passed_over", path.as_uri(), reason), self._row_limits
        )
        looker = Looker(walk(folder), known, captions, told, max_bytes=self._max_bytes, said=said or Description())
        while (looked := await self._calls.run(None, looker.look)).files:
            await self._write(tenant, looked, told, counts, revive)
            counts["looked_at"] += looked.pictures
            counts["unchanged"] += looked.unchanged
        await self._indexed()
        unseen = {key: file.id for key, file in known.items()}
        missing = await self._reconcile(tenant, folder, unseen, held, counts, forget_missing=forget_missing)
        await told.look_for_dead(self._catalog, tenant, _prefix(folder))
        return {**told.result(), **missing}

    async def _known(self, tenant: Tenant, folder: Path) -> dict[str, KnownFile]:
        rows = self._catalog.referenced_files(tenant, _prefix(folder))
        return {
            row.key: KnownFile(row.id, row.sha256, row.bytes, row.mtime_ns, row.changed_at_ms, row.dead)
            async for row in rows
        }

    async def _write(self, tenant: Tenant, looked: Looked, told: Told, counts: Counter[str], revive: bool) -> None:
        if not looked.new:
            return
        changes = await self._catalog.upsert(tenant, looked.new, revive=revive)
        await self._outbox.send(changes)
        for picture, change in zip(looked.new, changes, strict=True):
            if change.change is Change.CREATED:
                counts["created"] += 1
            elif change.change is Change.OVER_QUOTA:
                told.tell("unreadable", picture.uri, NO_ROOM)
            elif change.change in (Change.SAME, Change.LEFT_DELETED):
                counts["unchanged"] += 1
            else:
                counts["retried" if picture.key in looked.again else "changed"] += 1

    async def _reconcile(
        self,
        tenant: Tenant,
        folder: Path,
        unseen: Mapping[str, ImageId],
        held: Mapping[str, int],
        counts: Counter[str],
        *,
        forget_missing: bool,
    ) -> dict[str, Any]:
        """Rows that the walk did not meet go, unless they are missing. Returns what is told of those."""
        absent = await self._calls.run(None, away, unseen)
        if not absent:
            return {}
        moved = await self._moved(tenant, folder, {unseen[key] for key in absent})
        stayed = [key for key in absent if unseen[key] not in moved]
        absence = await self._calls.run(None, judge, _prefix(folder).rstrip("/"), held, stayed)
        gone = [unseen[key] for key in (stayed if forget_missing else absence.gone)]
        await self._hand_over(tenant, moved)
        await self._vanish(tenant, [*moved, *gone], counts)
        if forget_missing or not absence.missing:
            return {}
        counts["missing"] = len(absence.missing)
        return {"missing": {"folders": list(absence.folders[:MAX_EXAMPLES]), "advice": _HOW_TO_FORGET}}

    async def _moved(self, tenant: Tenant, folder: Path, absent: set[ImageId]) -> dict[ImageId, ImageId]:
        """Those of the absent rows whose bytes another file of the folder has, and its row."""
        wanted: dict[Sha256, list[ImageId]] = {}
        async for row in self._catalog.referenced_files(tenant, _prefix(folder)):
            if row.id in absent:
                wanted.setdefault(row.sha256, []).append(row.id)
        moved: dict[ImageId, ImageId] = {}
        async for row in self._catalog.referenced_files(tenant, _prefix(folder)):
            if row.id not in absent:
                moved |= dict.fromkeys(wanted.get(row.sha256, ()), row.id)
        return moved

    async def _hand_over(self, tenant: Tenant, moved: Mapping[ImageId, ImageId]) -> None:
        """What was said of a picture goes with it, where nothing else is said of the file that it is now."""
        for start in range(0, len(moved), BATCH_FILES):
            some = list(moved.items())[start : start + BATCH_FILES]
            rows = await self._catalog.pictures({image_id for pair in some for image_id in pair})
            changes = []
            for old, new in some:
                if old in rows and new in rows and (change := _said(rows[old], rows[new])) is not None:
                    with suppress(InvalidQuery, TooLarge):  # both together are more than a row may hold
                        changes.append(await self._catalog.change(tenant, new, change))
            await self._outbox.send(changes)

    async def _vanish(self, tenant: Tenant, ids: Sequence[ImageId], counts: Counter[str]) -> None:
        for start in range(0, len(ids), BATCH_FILES):
            some = ids[start : start + BATCH_FILES]
            changes = await self._catalog.delete(tenant, some, by=DeletedBy.ABSENCE)
            await self._outbox.send(changes)
            counts["vanished"] += len(changes)
        if ids:
            await self._indexed()


def require_folder(folder: Path) -> Path:
    """The folder as an absolute path. Raises InvalidQuery, field `folder`, which names what is not supported yet."""
    text = str(folder)
    if "://" in text or text.startswith("s3:/"):
        raise InvalidQuery(f"{text} is a URL or bucket, and no folder.", field="folder")
    try:
        if folder.is_file():
            raise InvalidQuery(f"{text} is a file and no folder.", field="folder")
        if not folder.is_dir():
            raise InvalidQuery(f"There is no folder {text}.", field="folder")
    except OSError as error:
        raise InvalidQuery(f"{text} cannot be looked at: {error.strerror}.", field="folder") from None
    return folder.absolute()


def _said(old: Picture, new: Picture) -> PictureChange | None:
    """What the old row says and the new one does not; None for nothing."""
    kept = {name: value for name, value in old.attributes.items() if name}  # "" is from an older version
    change = PictureChange(
        tags=old.tags if old.tags and not new.tags else None,
        owner=old.owner if old.owner and not new.owner else None,
        attributes={**kept, **new.attributes} if kept.keys() - new.attributes.keys() else None,
        private=True if old.private and not new.private else None,
    )
    return change if change != PictureChange() else None


def _prefix(folder: Path) -> str:
    return folder.as_uri().rstrip("/") + "/"

"""The picture core: upload, read, change, delete, list. Effects in order: blob, row, event."""

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from omma.blobs.interface import Blobs, original_key, thumbnail_key
from omma.blobs.originals import Originals, uri_of
from omma.catalog.interface import Catalog
from omma.catalog.orphan import Collected
from omma.catalog.picture import Change, NewPicture, Page, Picture, PictureChange, Upserted
from omma.collection import is_kept
from omma.description import Description, RowLimits
from omma.errors import Absent, InvalidQuery, Overloaded, QuotaExceeded
from omma.filters import Filter
from omma.identity import MAX_IMAGE_ID, ImageId, Receipt, Sha256, Tenant
from omma.images import PictureFile, PictureLimits, media_type, thumbnail_webp, verify
from omma.images.thumbnails import SIDE, is_whole_webp
from omma.outbox import Outbox
from omma.records import EventKind
from omma.room import refusal
from omma.telemetry.context import run_in
from omma.telemetry.traces import span
from omma.unneeded import let_go_of_unneeded
from omma.viewing import visible
from services.gateway.callers.changes import concerns
from services.gateway.callers.viewing import viewer
from services.gateway.pictures.original import no_original, read_original, told_of
from services.gateway.pictures.private import key_of_bytes, owned, require_own
from services.gateway.pictures.rows import Rows
from services.gateway.sharing.places import Places
from services.gateway.sharing.shares import Held, Shares

MAX_PAGE: Final = 1_000
MAX_ASKED: Final = 1_000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DRAWN_AT_ONCE: Final = 4
_DRAW_WAIT_SECONDS: Final = 10.0
"""A page asks for fifty at once; the indexer has drawn nearly all of them before."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """duplicate: these bytes were already there under this key."""

    id: ImageId
    sha256: Sha256
    receipt: Receipt
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Content:
    """Encoded bytes; None where the caller has them. etag: names them for ever. sha256: of the original."""

    content: bytes | None
    media_type: str
    etag: str
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Original:
    """bytes: how many; pieces: those bytes, read as they are taken. etag: names them for ever."""

    pieces: AsyncIterator[bytes]
    bytes: int
    media_type: str
    etag: str
    sha256: Sha256


class PictureCore:
    """Pictures of a tenant. Safe for concurrent use on one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: Blobs,
        originals: Originals,
        outbox: Outbox,
        executor: Executor,
        *,
        picture_limits: PictureLimits,
        row_limits: RowLimits,
        max_concurrent_uploads: int = 32,
        shares: Shares | None = None,
        deleted_grace_seconds: float = 86_400.0,
    ) -> None:
        """executor: for checking and drawing pictures; its owner shuts it down.

        deleted_grace_seconds: how long a deleted picture can be restored.
        """
        self.picture_limits = picture_limits
        self._catalog = catalog
        self._blobs = blobs
        self._originals = originals
        self._outbox = outbox
        self._rows = Rows(catalog)
        self._executor = executor
        self._row_limits = row_limits
        self._uploads = Held(max_concurrent_uploads, shares or Shares())
        self._draws = Places(_DRAWN_AT_ONCE, shares or Shares())
        self._deleted_grace_seconds = deleted_grace_seconds

    async def known(self, tenant: Tenant, sha256s: Collection[str]) -> dict[Sha256, ImageId]:
        """The pictures that have these bytes: what need not be sent. Raises InvalidQuery, field `sha256`."""
        if not 1 <= len(sha256s) <= MAX_ASKED:
            raise InvalidQuery(f"Ask of 1 to {MAX_ASKED:,} pictures.", field="sha256", limit=MAX_ASKED)
        for one in sha256s:
            if not _SHA256.fullmatch(one):
                raise InvalidQuery(f"{one[:80]!r} is no sha256: 64 characters of 0-9a-f.", field="sha256")
        seen = visible(None, viewer().visible_to)
        return await self._catalog.with_bytes(tenant, [Sha256(one) for one in sha256s], seen)

    async def upload(self, tenant: Tenant, content: bytes, description: Description) -> Uploaded:
        """Blob and row are durable when it returns; what the description leaves empty stays as it was for the key.

        Raises InvalidPicture, UnsupportedMedia, TooLarge, InvalidQuery, NotAllowed, QuotaExceeded, Overloaded,
        StorageFull.
        """
        description = owned(description, viewer())
        self._row_limits.check(description)
        with self._admitted(tenant):
            with span("verify"):
                await run_in(self._executor, verify, content, self.picture_limits)
            await self._require_room(tenant, content, description)
            with span("blob"):
                sha256, uri = await self._originals.put(content)
            new = NewPicture(
                key=description.external_id or key_of_bytes(sha256, description),
                sha256=sha256,
                uri=uri,
                bytes=len(content),
                owner=description.owner,
                tags=description.tags,
                source_url=description.source_url,
                attributes=description.attributes,
                private=description.private,
            )
            with span("row"):
                upserted, collected = await self._rows.upsert(tenant, new, viewer())
                if upserted.change is Change.OVER_QUOTA:
                    await self._catalog.note_orphans({sha256})
                    await self._require_room(tenant, content, description)
                    raise QuotaExceeded("This tenant has no room for the picture; try again.")
                if collected is not Collected.NO and not await is_kept(self._catalog, self._blobs, sha256):
                    await self._originals.put(content)
        concerns("picture", upserted.id)
        await self._send(upserted)
        event = upserted.event
        there_already = upserted.change is Change.SAME or (event is not None and event.kind is EventKind.ATTRIBUTES)
        return Uploaded(upserted.id, sha256, Receipt(upserted.id, upserted.version), there_already)

    async def picture(self, tenant: Tenant, image_id: int) -> Picture:
        """Raises Absent, also for one that the viewer does not see."""
        picture = await self._catalog.picture(tenant, _checked_id(image_id))
        if not viewer().sees(picture.owner, private=picture.private):
            raise _no_picture(image_id)
        return picture

    async def content(self, tenant: Tenant, image_id: int, known: Collection[str] = ()) -> Content | Original:
        """The original. known: etags of what the caller has, `*` for any; then no bytes are read. Raises Absent."""
        picture = await self._with_original(tenant, image_id)
        etag = f'"{picture.sha256}"'
        if etag in known or "*" in known:
            return Content(None, "", etag, picture.sha256)
        coming = self._originals.pieces(picture.uri, picture.sha256, picture.bytes)
        with told_of(image_id, max_bytes=picture.bytes):
            first = await anext(coming)
        return Original(_again(first, coming), picture.bytes, media_type(first), etag, picture.sha256)

    async def thumbnail(self, tenant: Tenant, image_id: int, known: Collection[str] = ()) -> Content:
        """WebP, longer side at most 256 pixels; drawn and kept now where none is kept, or not whole. As `content`."""
        picture = await self._with_original(tenant, image_id)
        etag = f'"{picture.sha256}-{SIDE}"'
        if etag in known or "*" in known:
            return Content(None, "", etag, picture.sha256)
        key = thumbnail_key(picture.sha256)
        webp = await self._kept_thumbnail(key)
        if webp is None:
            async with self._drawing(tenant):
                original = await self._read(picture)
                webp = await run_in(self._executor, _thumbnail, original, self.picture_limits)
            await self._blobs.put(key, webp, content_type="image/webp")
            if await let_go_of_unneeded(self._catalog, {picture.sha256}):
                raise _no_picture(image_id)
        return Content(webp, "image/webp", etag, picture.sha256)

    async def change(self, tenant: Tenant, image_id: int, change: PictureChange) -> Receipt:
        """Replace tags, owner, attributes or who sees it; embeds nothing again.

        Raises Absent, InvalidQuery, TooLarge, NotAllowed.
        """
        concerns("picture", image_id)
        self._row_limits.check(change)
        await self._require_own(tenant, image_id, change)
        changed = await self._catalog.change(tenant, _checked_id(image_id), change)
        await self._send(changed)
        return Receipt(changed.id, changed.version)

    async def delete(self, tenant: Tenant, image_id: int) -> Receipt:
        """Raises Absent. Its bytes stay while it can be restored, or another row needs them."""
        concerns("picture", image_id)
        await self._require_seen(tenant, image_id)
        deleted = await self._catalog.delete(tenant, [_checked_id(image_id)])
        if not deleted:
            raise _no_picture(image_id)
        await self._send(deleted[0])
        return Receipt(deleted[0].id, deleted[0].version)

    async def restore(self, tenant: Tenant, image_id: int) -> Receipt:
        """A deleted picture is as it was; may be repeated. Raises Absent when its grace is over, or none ever began;
        QuotaExceeded.
        """
        concerns("picture", image_id)
        await self._require_seen(tenant, image_id)
        restored = await self._catalog.restore(tenant, _checked_id(image_id), self._deleted_grace_seconds)
        picture = await self._catalog.picture(tenant, restored.id)
        if picture.uri == uri_of(picture.sha256) and not await self._has_original(picture.sha256):
            for deleted in await self._catalog.delete(tenant, [restored.id]):
                await self._send(deleted)
            raise Absent(f"There is no picture {image_id} that can be restored.", field="id")
        await self._send(restored)
        return Receipt(restored.id, restored.version)

    async def page(
        self, tenant: Tenant, filter: Filter | None, cursor: str | None, limit: int, newest_first: bool
    ) -> Page:
        """Raises InvalidQuery, field `limit` or `cursor`."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidQuery(f"limit must be 1 to {MAX_PAGE}.", field="limit", limit=MAX_PAGE)
        seen = visible(filter, viewer().visible_to)
        return await self._catalog.list_pictures(tenant, seen, cursor, limit, newest_first)

    async def _with_original(self, tenant: Tenant, image_id: int) -> Picture:
        picture = await self.picture(tenant, image_id)
        if picture.space:
            raise no_original(image_id, picture.space)
        return picture

    async def _kept_thumbnail(self, key: str) -> bytes | None:
        """None for one that its storage has cut off, too: callers keep for ever what they are sent."""
        try:
            webp = await self._blobs.get(key)
        except Absent:
            return None
        return webp if is_whole_webp(webp) else None

    async def _require_seen(self, tenant: Tenant, image_id: int) -> None:
        """Also of a deleted one. Raises Absent for one that is there and not seen."""
        asks = viewer()
        if asks.sees_all:
            return
        found = await self._catalog.pictures([_checked_id(image_id)])
        for one in found.values():
            if one.tenant == tenant and not asks.sees(one.owner, private=one.private):
                raise _no_picture(image_id)

    async def _require_own(self, tenant: Tenant, image_id: int, change: PictureChange) -> None:
        """What is private after the change is the viewer's own. Raises Absent, NotAllowed."""
        if viewer().sees_all:
            return
        row = await self.picture(tenant, image_id)
        require_own(
            viewer(),
            row.owner if change.owner is None else change.owner,
            private=row.private if change.private is None else change.private,
        )

    async def _require_room(self, tenant: Tenant, content: bytes, description: Description) -> None:
        """Raises QuotaExceeded."""

        async def key() -> str:
            if description.external_id:
                return description.external_id
            digest = await run_in(self._executor, hashlib.sha256, content)
            return key_of_bytes(Sha256(digest.hexdigest()), description)

        refused = await refusal(self._catalog, tenant, len(content), key)
        if refused is not None:
            raise refused

    async def _has_original(self, sha256: Sha256) -> bool:
        """To stay: a collector that has a shorter grace, or that ends it at this moment, may have been quicker."""
        if not await is_kept(self._catalog, self._blobs, sha256):
            return False
        return await self._blobs.size(original_key(sha256)) is not None

    async def _read(self, picture: Picture) -> bytes:
        max_bytes = self.picture_limits.max_bytes
        return await read_original(self._originals, picture.id, picture.uri, picture.sha256, max_bytes=max_bytes)

    async def _send(self, upserted: Upserted) -> None:
        """The row is durable: the write is acknowledged even if its event has to wait for the relay."""
        with span("event"):
            await self._outbox.offer([upserted])

    @asynccontextmanager
    async def _drawing(self, tenant: Tenant) -> AsyncIterator[None]:
        """A place to hold an original whole. Raises Overloaded."""
        try:
            await self._draws.take(tenant, _DRAW_WAIT_SECONDS)
        except TimeoutError:
            message = f"{self._draws.taken} thumbnails are being drawn."
            raise Overloaded(message, limit=self._draws.limit, retry_after_seconds=1.0) from None
        try:
            yield
        finally:
            self._draws.give_back(tenant)

    @contextmanager
    def _admitted(self, tenant: Tenant) -> Iterator[None]:
        if not self._uploads.take(tenant, 1):
            message = f"{self._uploads.amount} uploads are under way."
            raise Overloaded(message, limit=self._uploads.total, retry_after_seconds=1.0)
        try:
            yield
        finally:
            self._uploads.give_back(tenant, 1)


async def _again(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


def _thumbnail(content: bytes, limits: PictureLimits) -> bytes:
    with PictureFile(content, limits).decoding(least_side=SIDE) as picture:
        return thumbnail_webp(picture.pixels)


def _no_picture(image_id: int) -> Absent:
    return Absent(f"There is no picture {image_id}.", field="id")


def _checked_id(image_id: int) -> ImageId:
    if not 0 < image_id <= MAX_IMAGE_ID:
        raise Absent("There is no such picture: an id is a positive 64-bit number.", field="id")
    return ImageId(image_id)

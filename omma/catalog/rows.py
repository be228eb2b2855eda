"""Rows of `images` as values, and what a change does to one: pure."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, Select, and_, select

from omma.buckets import row_bucket_of
from omma.catalog.picture import (
    Change,
    DeletedBy,
    LoggedPicture,
    NewPicture,
    Picture,
    PictureChange,
    PictureState,
    Upserted,
)
from omma.catalog.schema.pictures import given_vectors, image_hash, images
from omma.errors import InvalidQuery, NotAllowed
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.quality import Quality
from omma.records import EventKind, ImageEvent
from omma.sources import source_domain_of
from omma.telemetry.context import request_id
from omma.viewing import Viewer

_UNEMBEDDED: Final = {"width": 0, "height": 0, "state": PictureState.PENDING, "reason": ""}
_UNDESCRIBED: Final[dict[str, Any]] = {
    "owner": "",
    "tags": [],
    "source_url": "",
    "source_domain": "",
    "attributes": {},
    "private": False,
}
_DESCRIPTION: Final = tuple(_UNDESCRIBED)
_NOT_SAID: Final[tuple[Any, ...]] = ("", [], {}, None)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """sent_version: of the last event in the log; unsent_kind, changed_at_ms: of the row's last version.

    deleted_at_ms: of the last delete, by the shared clock, while it can be taken back. deleted_by: None while it lives.
    """

    picture: Picture
    sent_version: Version
    unsent_kind: EventKind
    changed_at_ms: int
    deleted_at_ms: int | None = None
    deleted_by: DeletedBy | None = None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """values: every column that a change may touch. kind: of the event to send, None when there is none.

    idle: the row is so already.
    """

    values: dict[str, Any]
    kind: EventKind | None
    idle: bool = False


def select_pictures() -> Select[Any]:
    """Rows that stored_picture reads; those of image_hash are null until the picture is embedded."""
    hashed = and_(image_hash.c.tenant_id == images.c.tenant_id, image_hash.c.image_id == images.c.id)
    given = and_(given_vectors.c.tenant_id == images.c.tenant_id, given_vectors.c.image_id == images.c.id)
    told = image_hash.c
    return select(images, told.phash, told.signature, told.sharpness, told.exposure, given_vectors.c.space).select_from(
        images.outerjoin(image_hash, hashed).outerjoin(given_vectors, given)
    )


def stored_picture(row: RowMapping) -> StoredPicture:
    picture = Picture(
        id=ImageId(row["id"]),
        tenant=Tenant(row["tenant_id"]),
        key=row["key"],
        version=Version(row["version"]),
        sha256=Sha256(row["sha256"]),
        uri=row["uri"],
        bytes=row["bytes"],
        state=PictureState(row["state"]),
        created_at_ms=row["created_at"],
        owner=row["owner"],
        tags=tuple(row["tags"]),
        source_url=row["source_url"],
        attributes=row["attributes"],
        width=row["width"],
        height=row["height"],
        phash=None if row["phash"] is None else int.from_bytes(row["phash"], "big"),
        signature=row["signature"] or b"",
        quality=None if row["sharpness"] is None else Quality(row["sharpness"], row["exposure"]),
        reason=row["reason"],
        mtime_ns=row["mtime_ns"],
        space=row["space"] or "",
        private=bool(row["private"]),
    )
    by = None if row["deleted_by"] is None else DeletedBy(row["deleted_by"])
    sent, kind = Version(row["sent_version"]), EventKind(row["unsent_kind"])
    return StoredPicture(picture, sent, kind, row["changed_at"], row["deleted_at"], by)


def created(tenant: Tenant, image_id: int, new: NewPicture, now_ms: int) -> dict[str, Any]:
    """Columns of a new row."""
    return {
        "id": image_id,
        "bucket": row_bucket_of(image_id),
        "tenant_id": tenant,
        "key": new.key,
        "version": 1,
        "sent_version": 0,
        "unsent_kind": EventKind.UPSERT.value,
        "changed_at": now_ms,
        "created_at": now_ms,
        **_UNEMBEDDED,
        **_given(new),
        "private": bool(new.private),
    }


def logged(one: LoggedPicture, picture: NewPicture, now_ms: int) -> dict[str, Any]:
    """Columns of a row that the log has a live record of."""
    outbox = {"version": one.version, "sent_version": one.version}
    return created(one.tenant, one.id, picture, now_ms) | outbox | {"created_at": one.created_at_ms}


def caught_up(stored: StoredPicture, one: LoggedPicture, at_ms: int, now_ms: int) -> Rewrite:
    """A row as the log has it, which is newer; its key stays. at_ms: of the shared clock, when it was deleted."""
    if one.picture is None:
        values = _gone(DeletedBy.CALLER, at_ms)
    else:
        values = (
            _given(one.picture)
            | _UNEMBEDDED
            | {"private": bool(one.picture.private), "deleted_at": None, "deleted_by": None}
        )
    outbox = {"version": one.version, "unsent_kind": stored.unsent_kind.value, "changed_at": now_ms}
    return Rewrite(_columns(stored) | values | outbox, None)


def upserted(stored: StoredPicture, new: NewPicture, now_ms: int, *, revive: bool = True) -> Rewrite:
    """What an upsert does to the row that its key has; a description left empty stays as it was.

    What a caller deleted has none any more, and does not come back unless it may be revived or is another picture.
    Raises InvalidQuery for a vector in the place of what is alive and no vector of its space.
    """
    row, before = stored.picture, _columns(stored)
    gone, by_caller = row.state is PictureState.DELETED, stored.deleted_by is DeletedBy.CALLER
    if new.given is not None and not gone and row.space != new.given.space:
        raise InvalidQuery(taken_words(row.key, row.space), field="external_id")
    if gone and by_caller and not revive and row.sha256 == new.sha256:
        return _same(stored, {})
    given = _given(new)
    if not (gone and by_caller):
        given |= {name: before[name] for name in _DESCRIPTION if given[name] in _NOT_SAID}
    given["private"] = bool(given["private"])
    if gone or row.state is PictureState.DEAD or row.sha256 != new.sha256:
        lives = {"deleted_at": None, "deleted_by": None} if gone else {}
        return _changed(stored, EventKind.UPSERT, given | _UNEMBEDDED | lives, now_ms)
    if any(_differs(before[name], given[name]) for name in given.keys() - {"bytes", "mtime_ns"}):
        return _changed(stored, EventKind.ATTRIBUTES, given, now_ms)
    return _same(stored, given)


def require_seen(viewer: Viewer, stored: StoredPicture, key: str) -> None:
    """Raises NotAllowed, field `external_id`, for the key of a live picture that is not there for this viewer."""
    row = stored.picture
    if row.state is not PictureState.DELETED and not viewer.sees(row.owner, private=row.private):
        raise NotAllowed(f"{key[:80]!r} is the key of another's picture.", field="external_id")


def patched(stored: StoredPicture, change: PictureChange, now_ms: int) -> Rewrite:
    """What a change of single fields does to a live row."""
    before = _columns(stored)
    given: dict[str, Any] = {}
    if change.tags is not None:
        given["tags"] = list(change.tags)
    if change.owner is not None:
        given["owner"] = change.owner
    if change.attributes is not None:
        given["attributes"] = dict(change.attributes)
    if change.private is not None:
        given["private"] = change.private
    if any(_differs(before[name], value) for name, value in given.items()):
        return _changed(stored, EventKind.ATTRIBUTES, given, now_ms)
    return _same(stored, {})


def deleted(stored: StoredPicture, by: DeletedBy, at_ms: int, now_ms: int) -> Rewrite:
    """What a delete does to a live row: what was said of the picture stays as long as it can be restored.

    at_ms: of the shared clock.
    """
    return _changed(stored, EventKind.DELETE, _gone(by, at_ms), now_ms)


def restored(stored: StoredPicture, now_ms: int) -> Rewrite:
    """What a restore does to a row whose grace is not over; it remembers the delete, so that it may be asked again."""
    if stored.picture.state is not PictureState.DELETED:
        return _same(stored, {})
    lives = {"state": PictureState.PENDING, "deleted_by": None}
    return _changed(stored, EventKind.UPSERT, lives, now_ms)


def expired(stored: StoredPicture) -> dict[str, Any]:
    """The columns that change when a deleted picture can be restored no more."""
    row = {name: value for name, value in _columns(stored).items() if name in _DESCRIPTION}
    if stored.deleted_by is DeletedBy.CALLER:
        row = dict(_UNDESCRIBED)
    return row | {"deleted_at": None}


def erased(stored: StoredPicture, now_ms: int) -> Rewrite:
    """A row that says nothing any more but its id and version, under a key that nobody has."""
    place = {"key": f"erased:{uuid.uuid4().hex}", "sha256": "", "uri": "", "bytes": 0, "mtime_ns": None}
    gone = {"state": PictureState.DELETED, "deleted_at": None, "deleted_by": DeletedBy.CALLER}
    return _changed(stored, EventKind.DELETE, place | _UNDESCRIBED | _UNEMBEDDED | gone, now_ms)


def retried(stored: StoredPicture, now_ms: int) -> Rewrite:
    """What another try does to a dead row. A higher version: to its shard the dead one is deleted."""
    return _changed(stored, EventKind.UPSERT, dict(_UNEMBEDDED), now_ms)


def overtaken(stored: StoredPicture, seen: Version, now_ms: int) -> Rewrite:
    """The row as it is, under a version above its own and the one that was seen elsewhere."""
    gone = stored.picture.state is PictureState.DELETED
    values: dict[str, Any] = {} if gone else dict(_UNEMBEDDED)
    rewrite = _changed(stored, EventKind.DELETE if gone else EventKind.UPSERT, values, now_ms)
    rewrite.values["version"] = max(rewrite.values["version"], seen + 1)
    return rewrite


def taken_words(key: str, space: str) -> str:
    """Why a vector cannot have this key. space: of the vector that has it; "" for a picture."""
    what = f"a vector of space {space!r}" if space else "a picture"
    return f"{key[:80]!r} is {what}: delete that first, or give the vector another id."


LEFT_ERASED: Final = Upserted(ImageId(0), Version(0), Change.LEFT_DELETED, None)
"""What the caller is told of bytes that were erased, of which there is no row."""


OVER_QUOTA: Final = Upserted(ImageId(0), Version(0), Change.OVER_QUOTA, None)
"""What the caller is told of a picture that does not fit."""


def cost(stored: StoredPicture, rewrite: Rewrite) -> tuple[int, int]:
    """Pictures and bytes that a tenant keeps more of by the change."""
    before = stored.picture
    lived, lives = before.state is not PictureState.DELETED, rewrite.values["state"] != PictureState.DELETED
    return lives - lived, lives * rewrite.values["bytes"] - lived * before.bytes


def answer_created(row: RowMapping) -> Upserted:
    """What the caller is told of a new row."""
    event = ImageEvent(
        ImageId(row["id"]), Version(row["version"]), Tenant(row["tenant_id"]), EventKind.UPSERT, request_id()
    )
    return Upserted(event.image_id, event.version, Change.CREATED, event)


def answer(stored: StoredPicture, rewrite: Rewrite) -> Upserted:
    """What the caller is told of a row that was there."""
    picture = stored.picture
    version = Version(rewrite.values["version"])
    if rewrite.kind is None:
        left = picture.state is PictureState.DELETED
        return Upserted(picture.id, version, Change.LEFT_DELETED if left else Change.SAME, None)
    event = ImageEvent(picture.id, version, picture.tenant, rewrite.kind, request_id())
    return Upserted(picture.id, version, Change.CHANGED, event)


def _given(new: NewPicture) -> dict[str, Any]:
    """The columns that a caller's words decide."""
    return {
        "sha256": new.sha256,
        "uri": new.uri,
        "bytes": new.bytes,
        "mtime_ns": new.mtime_ns,
        "owner": new.owner,
        "tags": list(new.tags),
        "source_url": new.source_url,
        "source_domain": source_domain_of(new.source_url),
        "attributes": dict(new.attributes),
        "private": new.private,
    }


def _gone(by: DeletedBy, at_ms: int) -> dict[str, Any]:
    return {"state": PictureState.DELETED, "reason": "", "deleted_at": at_ms, "deleted_by": by}


def _columns(stored: StoredPicture) -> dict[str, Any]:
    """Every column that a rewrite may touch, as it is, less those of the outbox."""
    row = stored.picture
    return {
        "sha256": row.sha256,
        "uri": row.uri,
        "bytes": row.bytes,
        "mtime_ns": row.mtime_ns,
        "owner": row.owner,
        "tags": list(row.tags),
        "source_url": row.source_url,
        "source_domain": source_domain_of(row.source_url),
        "attributes": dict(row.attributes),
        "private": row.private,
        "width": row.width,
        "height": row.height,
        "state": row.state,
        "reason": row.reason,
        "deleted_at": stored.deleted_at_ms,
        "deleted_by": stored.deleted_by,
    }


def _changed(stored: StoredPicture, kind: EventKind, values: dict[str, Any], now_ms: int) -> Rewrite:
    unsent = stored.sent_version < stored.picture.version
    if kind is EventKind.ATTRIBUTES and unsent and stored.unsent_kind is EventKind.UPSERT:
        # The event that asked for an embedding may be lost: this one takes its place.
        kind = EventKind.UPSERT
    outbox = {"version": stored.picture.version + 1, "unsent_kind": kind.value, "changed_at": now_ms}
    return Rewrite(_columns(stored) | values | outbox, kind)


def _same(stored: StoredPicture, values: dict[str, Any]) -> Rewrite:
    outbox = {
        "version": stored.picture.version,
        "unsent_kind": stored.unsent_kind.value,
        "changed_at": stored.changed_at_ms,
    }
    before = _columns(stored)
    return Rewrite(before | values | outbox, None, idle=not _differs(before, before | values))


def _differs(before: Any, after: Any) -> bool:
    """As JSON, in which true is not 1."""
    return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)

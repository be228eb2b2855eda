"""Rows of `images` as values, and what a change does to one: pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, Select, and_, select

from omma.catalog.interface import Change, DeletedBy, NewPicture, Picture, PictureChange, PictureState, Upserted
from omma.catalog.schema import image_hash, images
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.records import EventKind, ImageEvent
from omma.sources import source_domain_of
from omma.telemetry.context import request_id

_UNEMBEDDED: Final = {"width": 0, "height": 0, "state": PictureState.PENDING, "reason": ""}
_DESCRIPTION: Final = ("owner", "tags", "source_url", "source_domain", "attributes")


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """sent_version: of the last event in the log; unsent_kind, changed_at_ms: of the row's last version."""

    picture: Picture
    sent_version: Version
    unsent_kind: EventKind
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class Rewrite:
    """values: every column that a change may touch. kind: of the event to send, None when there is none.

    idle: the row is so already.
    """

    values: dict[str, Any]
    kind: EventKind | None
    idle: bool = False


def select_pictures() -> Select[Any]:
    """Rows that stored_picture reads; phash is null until the picture is embedded."""
    on = and_(image_hash.c.tenant_id == images.c.tenant_id, image_hash.c.image_id == images.c.id)
    return select(images, image_hash.c.phash).select_from(images.outerjoin(image_hash, on))


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
        reason=row["reason"],
        mtime_ns=row["mtime_ns"],
    )
    return StoredPicture(picture, Version(row["sent_version"]), EventKind(row["unsent_kind"]), row["changed_at"])


def created(tenant: Tenant, new: NewPicture, now_ms: int) -> dict[str, Any]:
    """Columns of a new row."""
    return {
        "tenant_id": tenant,
        "key": new.key,
        "version": 1,
        "sent_version": 0,
        "unsent_kind": EventKind.UPSERT.value,
        "changed_at": now_ms,
        "created_at": now_ms,
        **_UNEMBEDDED,
        **_given(new),
    }


def upserted(stored: StoredPicture, new: NewPicture, now_ms: int) -> Rewrite:
    """What an upsert does to the row that its key has; a description left empty stays as it was."""
    row, before = stored.picture, _columns(stored.picture)
    given = _given(new)
    given |= {name: before[name] for name in _DESCRIPTION if not given[name]}
    if row.state in (PictureState.DELETED, PictureState.DEAD) or row.sha256 != new.sha256:
        return _changed(stored, EventKind.UPSERT, given | _UNEMBEDDED, now_ms)
    if any(_differs(before[name], given[name]) for name in given.keys() - {"bytes", "mtime_ns"}):
        return _changed(stored, EventKind.ATTRIBUTES, given, now_ms)
    return _same(stored, given)


def patched(stored: StoredPicture, change: PictureChange, now_ms: int) -> Rewrite:
    """What a change of single fields does to a live row."""
    before = _columns(stored.picture)
    given: dict[str, Any] = {}
    if change.tags is not None:
        given["tags"] = list(change.tags)
    if change.owner is not None:
        given["owner"] = change.owner
    if change.attributes is not None:
        given["attributes"] = dict(change.attributes)
    if any(_differs(before[name], value) for name, value in given.items()):
        return _changed(stored, EventKind.ATTRIBUTES, given, now_ms)
    return _same(stored, {})


def deleted(stored: StoredPicture, by: DeletedBy, now_ms: int) -> Rewrite:
    """What a delete does to a live row: nothing of what the caller said of the picture stays, unless it is absent."""
    gone: dict[str, Any] = {"state": PictureState.DELETED, "reason": ""}
    if by is DeletedBy.CALLER:
        gone |= {"owner": "", "tags": [], "attributes": {}, "source_url": "", "source_domain": ""}
    return _changed(stored, EventKind.DELETE, gone, now_ms)


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
        return Upserted(picture.id, version, Change.SAME, None)
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
    }


def _columns(row: Picture) -> dict[str, Any]:
    """Every column that a rewrite may touch, as it is, less those of the outbox."""
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
        "width": row.width,
        "height": row.height,
        "state": row.state,
        "reason": row.reason,
    }


def _changed(stored: StoredPicture, kind: EventKind, values: dict[str, Any], now_ms: int) -> Rewrite:
    unsent = stored.sent_version < stored.picture.version
    if kind is EventKind.ATTRIBUTES and unsent and stored.unsent_kind is EventKind.UPSERT:
        # The event that asked for an embedding may be lost: this one takes its place.
        kind = EventKind.UPSERT
    outbox = {"version": stored.picture.version + 1, "unsent_kind": kind.value, "changed_at": now_ms}
    return Rewrite(_columns(stored.picture) | values | outbox, kind)


def _same(stored: StoredPicture, values: dict[str, Any]) -> Rewrite:
    outbox = {
        "version": stored.picture.version,
        "unsent_kind": stored.unsent_kind.value,
        "changed_at": stored.changed_at_ms,
    }
    before = _columns(stored.picture)
    return Rewrite(before | values | outbox, None, idle=not _differs(before, before | values))


def _differs(before: Any, after: Any) -> bool:
    """As JSON, in which true is not 1."""
    return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)

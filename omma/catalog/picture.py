"""Rows of pictures: what a caller gives, what is kept, what of it is still to be told."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

from omma.catalog.given import GivenVector
from omma.filters import Filter
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.quality import Quality
from omma.records import ImageEvent
from omma.viewing import EVERYTHING, Viewer

Signature: TypeAlias = bytes
"""A name of its own, since rows call their size `bytes`."""

MAX_TENANT_BYTES: Final = 200


class DeletedBy(StrEnum):
    """caller: somebody asked for it, and no ingest brings it back; absence: what the row referenced was not there."""

    CALLER = "caller"
    ABSENCE = "absence"


class PictureState(StrEnum):
    """pending: not yet in every active space; indexed; dead: could not be read; deleted: a row kept for its version."""

    PENDING = "pending"
    INDEXED = "indexed"
    DEAD = "dead"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class NewPicture:
    """What a caller gives of a picture.

    key: the caller's external_id, else the object's uri, else the sha256; unique in the tenant.
    uri: where the original lies: `file://…` or `s3://…` for one that is referenced, `omma:<sha256>` for one in our
    blobs. mtime_ns: of a referenced file, so that a second run sees what changed; of an object, 63 bits of its ETag.
    owner, tags, source_url, attributes: left empty they stay as the row has them; `Catalog.change` clears them.
    given: of a row without a picture; sha256 is its own then. private: only its owner and administrators see it; None:
    as it is, and public when it is new.
    """

    key: str
    sha256: Sha256
    uri: str
    bytes: int
    owner: str = ""
    tags: tuple[str, ...] = ()
    source_url: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    mtime_ns: int | None = None
    given: GivenVector | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A row. version: raised by the transaction that changes the row. width, height: 0 until embedded.

    phash: 64 bits, 0 for a black picture; None until embedded. signature: as VectorRecord has it; empty for none.
    quality: None until embedded, and of what versions embedded that did not see it.
    space: of the vector that it was given; "" for a picture.
    """

    id: ImageId
    tenant: Tenant
    key: str
    version: Version
    sha256: Sha256
    uri: str
    bytes: int
    state: PictureState
    created_at_ms: int
    owner: str = ""
    tags: tuple[str, ...] = ()
    source_url: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    phash: int | None = None
    signature: Signature = b""
    quality: Quality | None = None
    reason: str = ""
    mtime_ns: int | None = None
    space: str = ""
    private: bool = False


class Change(StrEnum):
    """What an upsert did: changed also covers a deleted key that came back.

    left_deleted: a caller deleted the picture, and the upsert was not to bring it back. over_quota: the tenant keeps as
    much as it may (omma.catalog.quota), and nothing was done.
    """

    CREATED = "created"
    CHANGED = "changed"
    SAME = "same"
    LEFT_DELETED = "left_deleted"
    OVER_QUOTA = "over_quota"


@dataclass(frozen=True, slots=True)
class Upserted:
    """event: what has to be sent for it, None when nothing changed."""

    id: ImageId
    version: Version
    change: Change
    event: ImageEvent | None


@dataclass(frozen=True, slots=True)
class PictureChange:
    """Fields to replace; None leaves one as it is."""

    tags: tuple[str, ...] | None = None
    owner: str | None = None
    attributes: Mapping[str, Any] | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """What the indexer learned of a picture at a version. phash, signature: as VectorRecord has them.

    quality: None where nobody saw it.
    """

    image_id: ImageId
    version: Version
    width: int
    height: int
    phash: int | None
    signature: Signature = b""
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """cursor: opaque; None on the last page. count: of all that match, up to 100,000; capped: there are more."""

    pictures: tuple[Picture, ...]
    count: int
    cursor: str | None
    capped: bool = False


@dataclass(frozen=True, slots=True)
class ReferencedFile:
    """A row whose original is a local file: what reconciling a folder compares. dead: to be tried again.

    changed_at_ms: of its last version.
    """

    id: ImageId
    key: str
    sha256: Sha256
    bytes: int
    mtime_ns: int
    changed_at_ms: int
    dead: bool = False


@dataclass(frozen=True, slots=True)
class RowVersion:
    """What is compared with log and shards. space: as Picture has it."""

    id: ImageId
    version: Version
    state: PictureState
    space: str = ""


@dataclass(frozen=True, slots=True)
class KeptOriginal:
    """A live row whose original lies in our blobs."""

    sha256: Sha256
    id: ImageId
    version: Version


@dataclass(frozen=True, slots=True)
class LoggedPicture:
    """A row as the log's last record of it has it. version: the record's. picture: None: it is deleted."""

    id: ImageId
    tenant: Tenant
    version: Version
    picture: NewPicture | None
    created_at_ms: int = 0


class PictureBook(Protocol):
    """Every write is one transaction. A tenant never sees another's rows: to it these are absent."""

    async def upsert(
        self, tenant: Tenant, pictures: Sequence[NewPicture], *, revive: bool = True, viewer: Viewer = EVERYTHING
    ) -> list[Upserted]:
        """Create or change rows by key, in one transaction; answers in the order given. The same key twice: last wins.

        revive: False leaves what a caller deleted as it is, unless the bytes are others. A revived picture has its old
        id; what was said of it comes back if it was only absent, and not if a caller deleted it.

        Other bytes: UPSERT. Only owner, tags, attributes or source_url differ: ATTRIBUTES. uri or mtime alone move the
        reference without a new version unless uri differs, which is an ATTRIBUTES change (hits carry the uri). A dead
        row is tried again, whatever its bytes: UPSERT. A picture takes the place of a vector that was given.

        Raises InvalidQuery or TooLarge, naming the field, for a description that a row may not have, and for a vector
        under the key of a live picture, or of a live row of another space; NotAllowed, field `external_id`, for the key
        of a live picture that the viewer does not see: nothing of the call is written then.
        """

    async def change(self, tenant: Tenant, image_id: ImageId, change: PictureChange) -> Upserted:
        """Raises Absent; InvalidQuery or TooLarge as upsert does."""

    async def delete(
        self, tenant: Tenant, image_ids: Sequence[ImageId], *, by: DeletedBy = DeletedBy.CALLER
    ) -> list[Upserted]:
        """Marks rows deleted and raises their version; ids that are absent or deleted already are left out.

        By absence, what was said of a picture stays in its row, and is there again when an upsert brings it back.
        """

    async def restore(self, tenant: Tenant, image_id: ImageId, grace_seconds: float) -> Upserted:
        """A picture that was deleted no longer ago is as it was, under a higher version; again: nothing changes.

        Raises Absent when it was deleted earlier, or never.
        """

    async def expire_deleted(self, grace_seconds: float, limit: int) -> int:
        """Of pictures that were deleted longer ago, nothing can be restored any more: what was said of one that a
        caller deleted is cleared. Returns how many were looked at; with less than limit there are no more.
        """

    async def retry(self, tenant: Tenant, image_ids: Sequence[ImageId]) -> list[Upserted]:
        """Dead rows become pending again under a higher version; ids of rows that are not dead are left out."""

    async def picture(self, tenant: Tenant, image_id: ImageId) -> Picture:
        """Raises Absent, also for a deleted one."""

    async def pictures(self, image_ids: Collection[ImageId]) -> dict[ImageId, Picture]:
        """Across tenants, deleted ones too: for the indexer."""

    async def with_bytes(
        self, tenant: Tenant, sha256s: Collection[Sha256], filter: Filter | None = None
    ) -> dict[Sha256, ImageId]:
        """A picture of the tenant with these bytes that the filter keeps, the oldest; none that is deleted or could not
        be read.
        """

    async def list_pictures(
        self, tenant: Tenant, filter: Filter | None, cursor: str | None, limit: int, newest_first: bool = False
    ) -> Page:
        """By id, the oldest first unless told; never a deleted one. A cursor goes on in the order that is asked for.
        Raises InvalidQuery, field `cursor`, for one it did not make.
        """

    def referenced_files(self, tenant: Tenant, key_prefix: str) -> AsyncIterator[ReferencedFile]:
        """Live rows whose key starts with the prefix and whose original is referenced."""

    async def dead_pictures(self, tenant: Tenant, key_prefix: str, limit: int) -> tuple[int, list[Picture]]:
        """How many dead rows have a key that starts with the prefix, and the first of them by id."""

    async def find_pictures(self, tenant: Tenant, place: str) -> list[Picture]:
        """Deleted ones too: at most 100 whose key or uri this is. Reads every row of the tenant: for operators."""

    def rows_of_buckets(self, first: int, last: int) -> AsyncIterator[RowVersion]:
        """Rows of every tenant in these of buckets.ROW_BUCKETS, deleted ones too, by bucket and id; page by page."""

    async def fill_buckets(self, limit: int) -> int:
        """Give so many rows of an older version their bucket; returns how many: with less than limit all have one."""

    def kept_originals(self, after: str = "") -> AsyncIterator[KeptOriginal]:
        """Of every tenant, those whose sha256 is higher, by sha256 and id; read page by page."""

    async def overtake(self, seen: Mapping[ImageId, Version]) -> list[Upserted]:
        """Give these rows a version above the one that was seen elsewhere, and an event that says all of them again.

        For repairs: an UPSERT of a live row, a DELETE of a deleted one. Ids without a row are left out.
        """

    async def rebuild(self, logged: Sequence[LoggedPicture]) -> set[ImageId]:
        """Make these rows what the log says of them, where they are older or absent: for a catalog that lost writes.

        There is nothing to send for them; a live one is pending until `record_embedded` tells what else the log has.
        Returns those that were made or changed. Absent ones whose key another row has by now are left out, as are
        deleted ones that have no row.
        """

    async def sent_versions(self, image_ids: Collection[ImageId]) -> dict[ImageId, Version]:
        """Of the last event of each row that is known to be in the log, 0 for none; ids without a row are left out."""

    async def raise_ids_above(self, image_id: ImageId) -> None:
        """No later row gets this id or a lower one: what a catalog restored from a backup must be told of the log."""

    # The row is the outbox
    async def mark_sent(self, events: Sequence[ImageEvent]) -> None: ...

    async def unsent(self, limit: int) -> list[ImageEvent]:
        """Events of rows changed and never marked as sent, oldest first; of rows that were put off, once it is time."""

    async def unsent_since(self) -> float | None:
        """When the oldest of these was changed, or was to be sent again: seconds since 1970. None: all are sent."""

    async def postpone(self, put_off: Mapping[ImageId, Version], reason: str, seconds: float) -> None:
        """The rows that still have these versions go back to the outbox: to be sent again after so long."""

    async def retell(self, limit: int) -> int:
        """So many of the pictures whose events an older version let go go back to the outbox, the newest first; returns
        how many were looked at, deleted ones included: 0 once there are no more.
        """

    # What the indexer learned
    async def record_embedded(self, space: str, embedded: Sequence[Embedded]) -> None:
        """Sets size, pHash and state `indexed` where the row still has that version; idempotent.

        Of another space than the live index's only the space's own note is changed: a row's state is of what answers.
        """

    async def record_dead(self, image_id: ImageId, version: Version, reason: str, space: str = "") -> bool:
        """The space has no vector of it. space: "" is the live index's, and only that one's makes the row `dead`.

        False, and nothing is noted, where the space was told to have one of this very version: whoever says otherwise
        is late.
        """

    async def dead_in(self, space: str, image_ids: Collection[ImageId]) -> dict[ImageId, Version]:
        """Which of these could not be embedded in this space, at which version."""

    async def forget_space(self, space: str, limit: int) -> int:
        """Drops so many notes of what the space has vectors of; returns how many: with less than limit none is left."""

    async def embedded_with(self, space: str, sha256s: Collection[Sha256]) -> dict[Sha256, ImageId]:
        """A live picture with these bytes that this space has vectors of."""

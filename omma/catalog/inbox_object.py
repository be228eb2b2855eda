"""Objects in buckets: what events and listings said of them, in the order that they happened."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from omma.catalog.picture import NewPicture, Upserted
from omma.identity import ImageId, Tenant


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The last event known of an object in the inbox. image_id: None when the object is deleted."""

    sequencer: str
    image_id: ImageId | None


@dataclass(frozen=True, slots=True)
class KnownObject:
    """sequencer: of its newest event, "" if it was only listed. bytes, mtime_ns: of its picture, None when deleted.

    dead: its picture could not be read, and is to be tried again.
    """

    sequencer: str
    bytes: int | None
    mtime_ns: int | None
    dead: bool = False


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object as it was found after an event, or in a listing. picture: None when it is not there.

    sequencer: of that event; in a listing, the one that was recorded before the object was looked at.
    """

    key: str
    sequencer: str
    picture: NewPicture | None


class ObjectBook(Protocol):
    """Where an object's picture stands, by bucket and key."""

    async def object(self, tenant: Tenant, bucket: str, key: str) -> StoredObject | None: ...

    async def known_objects(self, tenant: Tenant, bucket: str, keys: Collection[str]) -> dict[str, KnownObject]:
        """What is recorded of these objects; those that nothing is known of are left out."""

    async def follow_objects(
        self, tenant: Tenant, bucket: str, seen: Sequence[SeenObject], *, revive: bool = True
    ) -> list[Upserted]:
        """Bring the pictures of these objects, each key once, up to what was seen, in one transaction.

        revive: as of `upsert`. A picture whose object is not there is deleted by its absence.

        One that was seen on an older occasion than the recorded one is passed over. Answers: what was upserted, then
        what was deleted. An empty sequencer is older than any: of an object that was listed, never told of.
        """

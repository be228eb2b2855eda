"""Other people's objects in buckets: listed, looked at and read where they are."""

from dataclasses import dataclass
from typing import Protocol

from omma.identity import Sha256


@dataclass(frozen=True, slots=True)
class ObjectLook:
    """etag: changes with the object's bytes. sha256: of the bytes; None when there are more than were to be read."""

    bytes: int
    etag: str
    sha256: Sha256 | None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """As a listing has it."""

    key: str
    bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """more: there are keys after the last one."""

    objects: tuple[ListedObject, ...]
    more: bool


class Objects(Protocol):
    """Raises ReplicaDown and Overloaded when the storage does not answer."""

    async def look(self, bucket: str, key: str, max_bytes: int) -> ObjectLook | None:
        """The object as it is now, read through for its sha256 without being held; None when it is not there.

        Raises Absent when it, or its bucket, may not be read.
        """

    async def read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Raises Absent, also when it may not be read; TooLarge."""

    async def page(self, bucket: str, prefix: str, after: str, limit: int) -> ObjectPage:
        """The next objects in the order of their keys (UTF-8), of those that begin with the prefix.

        Raises Absent when there is no such bucket, or it may not be listed.
        """

    async def close(self) -> None: ...

"""Pictures follow objects: each is looked at as it is now, whatever was heard of it, and its row brought up to that."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from omma.blobs.object_uri import object_uri
from omma.blobs.objects import ObjectLook, Objects
from omma.catalog.inbox_object import SeenObject
from omma.catalog.interface import Catalog
from omma.catalog.objects import is_newer
from omma.catalog.picture import NewPicture, Upserted
from omma.description import MAX_KEY_BYTES, Description
from omma.errors import Absent, Corrupt, OmmaError, Overloaded, ReplicaDown, causes
from omma.identity import Sha256, Tenant
from omma.outbox import Outbox

_LOOKS_AT_ONCE: Final = 8
_MAX_OBJECT_KEY_BYTES: Final = 1_024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
_PATIENCE_SECONDS: Final = 300.0
"""With an object that cannot be read while others of its bucket can."""
_PROBES: Final = 8
_FAILING: Final = 1_000
"""Objects whose first failure is remembered."""

logger = logging.getLogger(__name__)


class ObjectFollower:
    """An event only says where to look, so duplicates cost nothing and what is missing in between does not matter.

    Whoever heard of an object's newest event looks at it after its last change. What was seen on an older occasion is
    refused by the catalog. Both together leave the row as the object is, in whatever order events come, and when a
    listing runs beside them.
    """

    def __init__(
        self,
        catalog: Catalog,
        outbox: Outbox,
        objects: Objects,
        max_bytes: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """max_bytes: a larger object is not read: it gets a row, and dies of its size."""
        self._catalog = catalog
        self._outbox = outbox
        self._objects = objects
        self._max_bytes = max_bytes
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._now = now
        self._failing_since: dict[tuple[str, str], float] = {}

    async def heard(self, tenant: Tenant, bucket: str, sequencers: Mapping[str, str]) -> list[Upserted]:
        """sequencers: of the newest event of each key. Their rows are durable, and their events sent, on return.

        A key that no row can have is passed over: it must not keep the others waiting.
        """
        for key in [key for key in sequencers if oddity(bucket, key)]:
            logger.warning("an object is passed over", extra={"key": ascii(key[:200]), "reason": oddity(bucket, key)})
            sequencers = {other: sequencer for other, sequencer in sequencers.items() if other != key}
        known = await self._catalog.known_objects(tenant, bucket, sequencers.keys())
        news = {
            key: sequencer
            for key, sequencer in sequencers.items()
            if key not in known or is_newer(sequencer, than=known[key].sequencer)
        }
        return await self.follow(tenant, bucket, news)

    async def follow(
        self,
        tenant: Tenant,
        bucket: str,
        occasions: Mapping[str, str],
        said: Description | None = None,
        *,
        revive: bool = False,
    ) -> list[Upserted]:
        """Look at each key. occasions: sequencer of the event, or for a listing, what was recorded before.

        said: owner and private of them. revive: also what a caller deleted comes back.

        What the row has already is left out of the answer, or said to be the same.
        """
        seen = await asyncio.gather(
            *[self._see(bucket, key, occasions[key], said or Description()) for key in sorted(occasions)]
        )
        changes = await self._catalog.follow_objects(tenant, bucket, seen, revive=revive) if seen else []
        await self._outbox.send(changes)
        return changes

    async def _see(self, bucket: str, key: str, sequencer: str, said: Description) -> SeenObject:
        uri = object_uri(bucket, key)
        async with self._looks:
            try:
                look = await self._look(bucket, key)
            except (Absent, Corrupt):
                # It cannot be read: a row without its bytes, which tells the reason when the indexer tries.
                look = ObjectLook(0, "", None)
        if look is None:
            return SeenObject(key, sequencer, None)
        sha256 = look.sha256 or unread(uri, look.etag)
        picture = NewPicture(
            uri,
            sha256,
            uri,
            look.bytes,
            owner=said.owner,
            mtime_ns=stamp_of(look.etag),
            private=said.private,
        )
        return SeenObject(key, sequencer, picture)

    async def _look(self, bucket: str, key: str) -> ObjectLook | None:
        """As Objects.look. A fault of the storage that is of this object alone, and lasts, is the object's: Absent."""
        try:
            look = await self._objects.look(bucket, key, self._max_bytes)
        except (ReplicaDown, Overloaded) as error:
            if len(self._failing_since) >= _FAILING:
                self._failing_since.clear()
            since = self._failing_since.setdefault((bucket, key), self._now())
            if self._now() - since < _PATIENCE_SECONDS or not await self._others_can_be_read(bucket, key):
                raise
            logger.warning("an object cannot be read", extra={"key": ascii(key[:200]), "reason": causes(error)})
            self._failing_since.pop((bucket, key), None)
            raise Absent(f"{object_uri(bucket, key)} cannot be read.", field="uri") from error
        self._failing_since.pop((bucket, key), None)
        return look

    async def _others_can_be_read(self, bucket: str, key: str) -> bool:
        try:
            listed = (await self._objects.page(bucket, "", "", _PROBES + 1)).objects
        except OmmaError:
            return False
        for other in [one for one in listed if one.key != key and one.bytes <= self._max_bytes][:_PROBES]:
            try:
                if await self._objects.look(bucket, other.key, self._max_bytes) is not None:
                    return True
            except OmmaError:
                continue
        return False


def oddity(bucket: str, key: str) -> str:
    """Why no row can have the object of this key; "" for any that one can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its key holds half of a surrogate pair"
    if not key or "\0" in key:
        return "its key is empty or holds a NUL"
    if size > _MAX_OBJECT_KEY_BYTES:
        return f"its key has more than {_MAX_OBJECT_KEY_BYTES} bytes"
    if len(object_uri(bucket, key)) > MAX_KEY_BYTES:
        return f"its key has more than {MAX_KEY_BYTES} characters as a URI"
    return ""


def unread(uri: str, etag: str) -> Sha256:
    """Stands for bytes that nobody has read: no picture has it, and it changes with them."""
    return Sha256(hashlib.sha256(f"unread {uri} {etag}".encode()).hexdigest())


def stamp_of(etag: str) -> int:
    """63 bits of an ETag: what a row keeps so that a listing sees whether the object changed."""
    return int.from_bytes(hashlib.sha256(etag.strip('"').encode()).digest()[:8], "big") >> 1

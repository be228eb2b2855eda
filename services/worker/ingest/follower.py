"""Pictures follow objects: each is looked at as it is now, whatever was heard of it, and its row brought up to that."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Final

from omma.blobs.object_uri import object_uri
from omma.blobs.objects import ObjectLook, Objects
from omma.catalog.interface import Catalog, NewPicture, SeenObject, Upserted
from omma.catalog.objects import is_newer
from omma.errors import Absent
from omma.identity import Sha256, Tenant
from omma.outbox import Outbox

_LOOKS_AT_ONCE: Final = 8


class ObjectFollower:
    """An event only says where to look, so duplicates cost nothing and what is missing in between does not matter.

    Whoever heard of an object's newest event looks at it after its last change. What was seen on an older occasion is
    refused by the catalog. Both together leave the row as the object is, in whatever order events come, and when a
    listing runs beside them.
    """

    def __init__(self, catalog: Catalog, outbox: Outbox, objects: Objects, max_bytes: int) -> None:
        """max_bytes: a larger object is not read: it gets a row, and dies of its size."""
        self._catalog = catalog
        self._outbox = outbox
        self._objects = objects
        self._max_bytes = max_bytes
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def heard(self, tenant: Tenant, bucket: str, sequencers: Mapping[str, str]) -> list[Upserted]:
        """sequencers: of the newest event of each key. Their rows are durable, and their events sent, on return."""
        known = await self._catalog.known_objects(tenant, bucket, sequencers.keys())
        news = {
            key: sequencer
            for key, sequencer in sequencers.items()
            if key not in known or is_newer(sequencer, than=known[key].sequencer)
        }
        return await self.follow(tenant, bucket, news)

    async def follow(
        self, tenant: Tenant, bucket: str, occasions: Mapping[str, str], *, revive: bool = False
    ) -> list[Upserted]:
        """Look at each key. occasions: sequencer of the event, or for a listing, what was recorded before.

        revive: also what a caller deleted comes back.

        What the row has already is left out of the answer, or said to be the same.
        """
        seen = await asyncio.gather(*[self._see(bucket, key, occasions[key]) for key in sorted(occasions)])
        changes = await self._catalog.follow_objects(tenant, bucket, seen, revive=revive) if seen else []
        await self._outbox.send(changes)
        return changes

    async def _see(self, bucket: str, key: str, sequencer: str) -> SeenObject:
        uri = object_uri(bucket, key)
        async with self._looks:
            try:
                look = await self._objects.look(bucket, key, self._max_bytes)
            except Absent:
                # It may not be read: a row without its bytes, which tells the reason when the indexer tries.
                look = ObjectLook(0, "", None)
        if look is None:
            return SeenObject(key, sequencer, None)
        sha256 = look.sha256 or unread(uri, look.etag)
        picture = NewPicture(uri, sha256, uri, look.bytes, mtime_ns=stamp_of(look.etag))
        return SeenObject(key, sequencer, picture)


def unread(uri: str, etag: str) -> Sha256:
    """Stands for bytes that nobody has read: no picture has it, and it changes with them."""
    return Sha256(hashlib.sha256(f"unread {uri} {etag}".encode()).hexdigest())


def stamp_of(etag: str) -> int:
    """63 bits of an ETag: what a row keeps so that a listing sees whether the object changed."""
    return int.from_bytes(hashlib.sha256(etag.strip('"').encode()).digest()[:8], "big") >> 1

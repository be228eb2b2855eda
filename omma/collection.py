"""What a writer of rows has to know of bytes being collected: see omma.catalog.orphan."""

import asyncio
from typing import Final

from omma.blobs.interface import Blobs, original_key
from omma.catalog.orphan import Collected, OrphanBook
from omma.identity import Sha256

_LOOK_SECONDS: Final = 0.05


async def is_kept(catalog: OrphanBook, blobs: Blobs, sha256: Sha256) -> bool:
    """Whether the original is in our blobs to stay. Asked by whoever made a row that needs it, once that is durable:
    from then on no collector begins with these bytes. Waits for one that has begun, two minutes at most.
    """
    while True:
        collected = (await catalog.collected([sha256]))[sha256]
        if collected is not Collected.UNDER_WAY:
            return collected is Collected.NO or await blobs.size(original_key(sha256)) is not None
        await asyncio.sleep(_LOOK_SECONDS)

"""Uploads that were put and never ingested."""

from typing import Final

from omma.blobs.interface import Blobs
from omma.errors import InvalidQuery
from omma.uploads import UPLOADS, expiry_of

_KEPT_SECONDS: Final = 86_400
"""After their address ended: for whoever still wants to ingest them."""


async def drop_abandoned(blobs: Blobs, now_seconds: float) -> int:
    """Delete those that nobody ingested within a day; returns how many. now_seconds: since 1970."""
    dropped = 0
    async for key in blobs.keys(UPLOADS):
        try:
            over = expiry_of(key.rpartition("/")[2]) + _KEPT_SECONDS < now_seconds
        except InvalidQuery:
            continue
        if over:
            await blobs.delete(key)
            dropped += 1
    return dropped

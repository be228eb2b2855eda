"""Originals as callers are told of them: by the picture's id, never by the place where they lie."""

from omma.blobs.originals import Originals
from omma.errors import Absent, Corrupt, InvalidQuery, TooLarge
from omma.identity import Sha256


async def read_original(
    originals: Originals, image_id: int, uri: str, sha256: Sha256, *, max_bytes: int, field: str = "id"
) -> bytes:
    """The bytes. field: what the caller named the picture by. Raises as `Originals.read`; the cause has the place."""
    try:
        return await originals.read(uri, sha256, max_bytes)
    except (Absent, InvalidQuery) as error:
        told = f"The original of picture {image_id} is no longer where it was; ingest its source again."
        raise Absent(told, field=field) from error
    except Corrupt as error:
        told = f"The original of picture {image_id} has changed since it was taken in; ingest it again."
        raise Corrupt(told, field=field) from error
    except TooLarge as error:
        told = f"The original of picture {image_id} has more than {max_bytes:,} bytes."
        raise TooLarge(told, field=field, limit=max_bytes) from error

"""Originals as callers are told of them: by the picture's id, never by the place where they lie."""

from collections.abc import Iterator
from contextlib import contextmanager

from omma.blobs.originals import Originals
from omma.errors import Absent, Corrupt, InvalidQuery, TooLarge
from omma.identity import Sha256


def no_original(image_id: int, space: str, *, field: str = "id") -> Absent:
    """What asking for the picture of a vector raises."""
    return Absent(f"{image_id} is a vector that was given for space {space}: Omma has no picture of it.", field=field)


@contextmanager
def told_of(image_id: int, *, max_bytes: int, field: str = "id") -> Iterator[None]:
    """What reading this picture's original raises, as its caller is told. field: what the picture was named by.

    Raises Absent, Corrupt, TooLarge; the cause has the place.
    """
    try:
        yield
    except (Absent, InvalidQuery) as error:
        told = f"The original of picture {image_id} is no longer where it was; ingest its source again."
        raise Absent(told, field=field) from error
    except Corrupt as error:
        told = f"The original of picture {image_id} has changed since it was taken in; ingest it again."
        raise Corrupt(told, field=field) from error
    except TooLarge as error:
        told = f"The original of picture {image_id} has more than {max_bytes:,} bytes."
        raise TooLarge(told, field=field, limit=max_bytes) from error


async def read_original(
    originals: Originals, image_id: int, uri: str, sha256: Sha256, *, max_bytes: int, field: str = "id"
) -> bytes:
    """The bytes. Raises as `told_of`, and what the storage raises."""
    with told_of(image_id, max_bytes=max_bytes, field=field):
        return await originals.read(uri, sha256, max_bytes)

"""The cursor of a search: what its earlier pages showed, so that the next one shows something else.

It names pictures rather than a position, so pages stay free of repeats while pictures come and go between them.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable
from typing import Final

import numpy as np

from omma.errors import InvalidQuery

MAX_SEEN: Final = 5_000
"""Pictures after which there is no next page: 8 bytes each travel back and forth, and shards look past them all."""

_MAX_CHARACTERS: Final = 2 * 8 * MAX_SEEN


def encode_cursor(query_mark: int, seen: Iterable[int]) -> str | None:
    """Opaque text; None when more than MAX_SEEN were seen. query_mark: 32 bits that tell one query from another."""
    ids = np.unique(np.fromiter(seen, np.int64))
    if len(ids) > MAX_SEEN:
        return None
    steps = np.diff(ids, prepend=0).astype("<i8")
    packed = zlib.compress(query_mark.to_bytes(4, "little") + steps.tobytes(), level=1)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str, query_mark: int) -> tuple[int, ...]:
    """The ids seen, rising. Raises InvalidQuery, field `cursor`, for one of another query or made up."""
    wrong = InvalidQuery("This cursor belongs to no such query; use next_cursor with the same filter.", field="cursor")
    if len(cursor) > _MAX_CHARACTERS:
        raise wrong
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = zlib.decompressobj().decompress(packed, 4 + 8 * MAX_SEEN)
    except (binascii.Error, ValueError, zlib.error):
        raise wrong from None
    if len(content) < 4 or len(content) % 8 != 4 or int.from_bytes(content[:4], "little") != query_mark:
        raise wrong
    ids = np.cumsum(np.frombuffer(content, "<i8", offset=4))
    return tuple(ids.tolist())

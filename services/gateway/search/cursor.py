"""The cursor of a search: where its first page went, and what its pages showed, so that the next shows something else.

It names pictures rather than a position, so pages stay free of repeats while pictures come and go between them.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.errors import InvalidQuery
from omma.rollouts.arms import Arm, Variant
from omma.rollouts.rollout import RolloutId
from services.gateway.search.query import Sought, SoughtPicture, SoughtVector

MAX_SEEN: Final = 5_000
"""Pictures after which there is no next page: 8 bytes each travel back and forth, and shards look past them all."""

_END_BYTES: Final = 1 << 16
_MAX_PLACE_BYTES: Final = 1_024
_HEAD: Final = 6
"""Bytes before the place: the mark, and how long the place is."""
_MAX_CONTENT: Final = _HEAD + _MAX_PLACE_BYTES + 8 * MAX_SEEN
_MAX_CHARACTERS: Final = 2 * _MAX_CONTENT


@dataclass(frozen=True, slots=True)
class Cursor:
    """query_mark: 32 bits that tell one query from another. index, variant: of every page. seen: ids, rising."""

    query_mark: int
    index: str
    variant: Variant | None
    seen: tuple[int, ...]


def sought_mark(sought: Iterable[Sought]) -> int:
    """32 bits that tell what is sought from something else, by whichever face it was said. Of a picture its length and
    both ends count: all of 40 MB would hold up others for longer than the search takes.
    """
    mark = 0
    for one in sought:
        match one:
            case SoughtPicture(content, weight, region):
                said = f"{len(content)} {weight} {region}".encode() + content[:_END_BYTES] + content[-_END_BYTES:]
            case SoughtVector(values, space, weight):
                said = f"{space!a} {weight}".encode() + values.tobytes()
            case _:
                said = ascii(one).encode()
        mark = zlib.crc32(said, mark)
    return mark


def encode_cursor(query_mark: int, seen: Iterable[int], index: str, variant: Variant | None = None) -> str | None:
    """Opaque text; None when more than MAX_SEEN were seen."""
    ids = np.unique(np.fromiter(seen, np.int64))
    if len(ids) > MAX_SEEN:
        return None
    place = "\0".join((index, *((variant.rollout, variant.arm.value) if variant else ()))).encode()
    steps = np.diff(ids, prepend=0).astype("<i8")
    content = query_mark.to_bytes(4, "little") + len(place).to_bytes(2, "little") + place + steps.tobytes()
    return base64.urlsafe_b64encode(zlib.compress(content, level=1)).decode().rstrip("=")


def decode_cursor(cursor: str) -> Cursor:
    """Raises InvalidQuery, field `cursor`, for one that was made up."""
    if len(cursor) > _MAX_CHARACTERS:
        raise of_another_query()
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = zlib.decompressobj().decompress(packed, _MAX_CONTENT)
        rest = _HEAD + int.from_bytes(content[4:_HEAD], "little")
        variant = None
        match content[_HEAD:rest].decode().split("\0"):
            case [index]:
                pass
            case [index, rollout, arm]:
                variant = Variant(RolloutId(rollout), Arm(arm))
            case _:
                raise ValueError
    except (binascii.Error, ValueError, zlib.error):
        raise of_another_query() from None
    if len(content) < rest or (len(content) - rest) % 8 or not index:
        raise of_another_query()
    ids = np.cumsum(np.frombuffer(content, "<i8", offset=rest))
    return Cursor(int.from_bytes(content[:4], "little"), index, variant, tuple(ids.tolist()))


def of_another_query() -> InvalidQuery:
    return InvalidQuery("This cursor belongs to no such query; use next_cursor with the same query.", field="cursor")

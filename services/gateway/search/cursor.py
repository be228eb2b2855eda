"""The cursor of a search: where its first page went, and what its pages showed, so that the next shows something else.

It names pictures rather than a position, so pages stay free of repeats while pictures come and go between them.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
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
_DRAFTED_BYTES: Final = 9
"""Of a picture in interleaved pages: the step to it, and which arms pass it over."""
_MAX_CONTENT: Final = _HEAD + _MAX_PLACE_BYTES + _DRAFTED_BYTES * MAX_SEEN
_MAX_CHARACTERS: Final = 2 * _MAX_CONTENT


@dataclass(frozen=True, slots=True)
class Draft:
    """beside: the candidate's index. seed: 64 bits, of the next page's draft. seen: ids that it passes over, rising."""

    beside: str
    seed: int
    seen: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """query_mark: 32 bits that tell one query from another. index, variant: of every page. seen: ids, rising.

    draft: of interleaved pages, what the next one is drafted with; seen is then the control's.
    """

    query_mark: int
    index: str
    variant: Variant | None
    seen: tuple[int, ...]
    draft: Draft | None = None


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


def encode_cursor(
    query_mark: int, seen: Iterable[int], index: str, variant: Variant | None = None, draft: Draft | None = None
) -> str | None:
    """Opaque text; None when more than MAX_SEEN were seen, by one arm or the other."""
    of_control, of_candidate = frozenset(seen), frozenset(draft.seen if draft else ())
    ids = sorted(of_control | of_candidate)
    if len(ids) > MAX_SEEN:
        return None
    place = [index, *((variant.rollout, variant.arm.value) if variant else ())]
    place += [draft.beside, f"{draft.seed:x}"] if draft else []
    said = "\0".join(place).encode()
    content = query_mark.to_bytes(4, "little") + len(said).to_bytes(2, "little") + said
    content += np.diff(np.array([0, *ids], "<i8")).tobytes()
    if draft:
        content += bytes((one in of_control) + 2 * (one in of_candidate) for one in ids)
    return base64.urlsafe_b64encode(zlib.compress(content, level=1)).decode().rstrip("=")


def decode_cursor(cursor: str) -> Cursor:
    """Raises InvalidQuery, field `cursor`, for one that was made up."""
    if len(cursor) > _MAX_CHARACTERS:
        raise of_another_query()
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = zlib.decompressobj().decompress(packed, _MAX_CONTENT)
        rest = _HEAD + int.from_bytes(content[4:_HEAD], "little")
        return _of_place(
            content[_HEAD:rest].decode().split("\0"), int.from_bytes(content[:4], "little"), content[rest:]
        )
    except (binascii.Error, ValueError, zlib.error):
        raise of_another_query() from None


def _of_place(place: Sequence[str], query_mark: int, seen: bytes) -> Cursor:
    """Raises ValueError for what no page was."""
    if not place[0]:
        raise ValueError
    match place:
        case [index]:
            return Cursor(query_mark, index, None, _rising(seen))
        case [index, rollout, arm]:
            return Cursor(query_mark, index, Variant(RolloutId(rollout), Arm(arm)), _rising(seen))
        case [index, rollout, Arm.INTERLEAVED, beside, seed] if beside and len(seen) % _DRAFTED_BYTES == 0:
            count = len(seen) // _DRAFTED_BYTES
            ids, of = _rising(seen[: 8 * count]), np.frombuffer(seen, np.uint8, offset=8 * count)
            by = [tuple(id for id, bits in zip(ids, of.tolist(), strict=True) if bits & arm) for arm in (1, 2)]
            draft = Draft(beside, int(seed, 16) % 2**64, by[1])
            return Cursor(query_mark, index, Variant(RolloutId(rollout), Arm.INTERLEAVED), by[0], draft)
        case _:
            raise ValueError


def _rising(steps: bytes) -> tuple[int, ...]:
    return tuple(np.cumsum(np.frombuffer(steps, "<i8")).tolist())


def of_another_query() -> InvalidQuery:
    return InvalidQuery("This cursor belongs to no such query; use next_cursor with the same query.", field="cursor")

"""A search as the cores understand it, whichever face it came through. Making one checks it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from omma.errors import InvalidQuery
from omma.filters import Filter
from omma.identity import MAX_IMAGE_ID, ImageId, Receipt
from omma.vectors import Float32
from services.rerank.client import NearDuplicates

MAX_K: Final = 1_000
DEFAULT_K: Final = 50
MAX_TIMEOUT_MS: Final = 60_000
DEFAULT_TIMEOUT_MS: Final = 2_000
MAX_SOUGHT: Final = 16
MAX_RECEIPTS: Final = 256
MAX_WEIGHT: Final = 1_000.0
MAX_USER_ID_CHARACTERS: Final = 256
_MAX_PIXEL: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Region:
    """Part of an upright picture: pixels, or fractions of its sides. Clipped where the size is known: by the embedder.

    Raises InvalidQuery, field `bbox`, unless the numbers are finite and right > left, bottom > top.
    """

    left: float
    top: float
    right: float
    bottom: float
    fraction: bool = False

    def __post_init__(self) -> None:
        if not all(math.isfinite(side) for side in self.sides):
            raise InvalidQuery("A bbox holds finite numbers.", field="bbox")
        if self.right <= self.left or self.bottom <= self.top:
            raise InvalidQuery("A bbox is x1,y1,x2,y2 with x2 > x1 and y2 > y1: this one has no area.", field="bbox")

    @property
    def sides(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.right, self.bottom

    def pixels(self) -> tuple[int, int, int, int]:
        """Whole pixels that cover the region, inside int32."""
        low = (max(-_MAX_PIXEL, math.floor(side)) for side in (self.left, self.top))
        high = (min(_MAX_PIXEL, math.ceil(side)) for side in (self.right, self.bottom))
        left, top = (min(_MAX_PIXEL - 1, side) for side in low)
        right, bottom = (max(1 - _MAX_PIXEL, side) for side in high)
        return left, top, right, bottom


def parse_region(value: str | Sequence[object], *, fraction: bool = False) -> Region:
    """`"x1,y1,x2,y2"` or four numbers. Raises InvalidQuery, field `bbox`."""
    parts: Sequence[object] = value.split(",") if isinstance(value, str) else value
    if len(parts) != 4:
        raise InvalidQuery(f"A bbox is four numbers, x1,y1,x2,y2; this one has {len(parts)}.", field="bbox")
    left, top, right, bottom = (_side(part) for part in parts)
    return Region(left, top, right, bottom, fraction)


def _side(part: object) -> float:
    if isinstance(part, bool) or not isinstance(part, str | int | float):
        raise InvalidQuery("A bbox is four numbers, x1,y1,x2,y2.", field="bbox")
    try:
        return float(part)
    except (ValueError, OverflowError):
        raise InvalidQuery(f"{str(part)[:40]!r} in the bbox is no number.", field="bbox") from None


@dataclass(frozen=True, slots=True)
class SoughtPicture:
    """content: an encoded picture."""

    content: bytes
    weight: float = 1.0
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class SoughtStored:
    """A picture that is in the index, by id."""

    image_id: ImageId
    weight: float = 1.0
    region: Region | None = None

    def __post_init__(self) -> None:
        if not 0 < self.image_id <= MAX_IMAGE_ID:
            raise InvalidQuery("An image_id is a positive 64-bit number.", field="image_id")


@dataclass(frozen=True, slots=True)
class SoughtWords:
    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SoughtVector:
    """values: float32[dim], any length above 0. space: the stamp of the space that it belongs to."""

    values: Float32
    space: str
    weight: float = 1.0


Sought: TypeAlias = SoughtPicture | SoughtStored | SoughtWords | SoughtVector


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for, and how. effort 0: the index's own. Raises InvalidQuery naming the field.

    score_threshold: cosine. phash_gate: Hamming distance. timeout_ms: for the whole answer. cursor: an answer's
    next_cursor. user_id: only for interactions.
    """

    sought: tuple[Sought, ...]
    k: int = DEFAULT_K
    filter: Filter | None = None
    score_threshold: float | None = None
    near_duplicates: NearDuplicates = NearDuplicates.COLLAPSE
    phash_gate: int | None = None
    use_crops: bool = False
    policy: str = ""
    index: str = ""
    effort: int = 0
    exact: bool = False
    explain: bool = False
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    min_coverage: float = 0.0
    receipts: tuple[Receipt, ...] = ()
    cursor: str = ""
    user_id: str = ""

    def __post_init__(self) -> None:
        if not self.sought:
            raise InvalidQuery("Say what to look for: an image, an image_id, a text or a vector.", field="image")
        _within("queries", len(self.sought), 1, MAX_SOUGHT)
        for one in self.sought:
            _within("weight", one.weight, -MAX_WEIGHT, MAX_WEIGHT)
        _within("k", self.k, 1, MAX_K)
        _within("effort", self.effort, 0, 10)
        _within("timeout_ms", self.timeout_ms, 1, MAX_TIMEOUT_MS)
        _within("min_coverage", self.min_coverage, 0.0, 1.0)
        _within("receipts", len(self.receipts), 0, MAX_RECEIPTS)
        _within("user_id", len(self.user_id), 0, MAX_USER_ID_CHARACTERS)
        if self.score_threshold is not None:
            _within("score_threshold", self.score_threshold, -1.0, 1.0)
        if self.phash_gate is not None:
            _within("phash_gate", self.phash_gate, 0, 64)
            if not any(isinstance(one, SoughtPicture | SoughtStored) for one in self.sought):
                raise InvalidQuery("phash_gate compares pictures: give an image or an image_id.", field="phash_gate")


def _within(field: str, value: float, low: float, high: float) -> None:
    # Written so that NaN fails.
    if not low <= value <= high:
        limit = high if value > high else low
        raise InvalidQuery(f"{field} must be {low} to {high}.", field=field, limit=limit)

"""A search as the cores understand it, whichever face it came through. Making one checks it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from omma.errors import InvalidQuery
from omma.filters import Filter
from omma.identity import MAX_IMAGE_ID, ImageId, Receipt
from omma.images import Corners, PixelBox, check_corners, parse_bbox
from omma.vectors import Float32
from services.rerank.client import NearDuplicates

MAX_K: Final = 1_000
MAX_DIM: Final = 16_384
"""Of a vector that is looked at; each space has its own dimension, far below."""
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

    Raises InvalidQuery, field `bbox`, unless the corners are finite and make an area.
    """

    corners: Corners
    fraction: bool = False

    def __post_init__(self) -> None:
        check_corners(self.corners)

    def pixels(self) -> PixelBox:
        """Whole pixels that cover the region, inside int32."""
        left, top, right, bottom = (min(max(corner, -_MAX_PIXEL), _MAX_PIXEL) for corner in self.corners)
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def region_of(value: str | Sequence[object], *, fraction: bool = False) -> Region:
    """`"x1,y1,x2,y2"` or four numbers. Raises InvalidQuery, field `bbox`."""
    if isinstance(value, str):
        return Region(parse_bbox(value), fraction)
    numbers = [number for number in value if isinstance(number, int | float) and not isinstance(number, bool)]
    if len(numbers) != len(value):
        raise InvalidQuery("A bbox is four numbers, x1,y1,x2,y2.", field="bbox")
    return Region(check_corners(numbers), fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weighed:
    """weight_field: what the caller called the weight; no part of what is sought."""

    weight_field: str = field(default="weight", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SoughtPicture(_Weighed):
    """content: an encoded picture."""

    content: bytes
    weight: float = 1.0
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class SoughtStored(_Weighed):
    """A picture that is in the index, by id."""

    image_id: ImageId
    weight: float = 1.0
    region: Region | None = None

    def __post_init__(self) -> None:
        if not 0 < self.image_id <= MAX_IMAGE_ID:
            raise InvalidQuery("An image_id is a positive 64-bit number.", field="image_id")


@dataclass(frozen=True, slots=True)
class SoughtUrl(_Weighed):
    """A picture somewhere on the public web."""

    url: str
    weight: float = 1.0
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class SoughtWords(_Weighed):
    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SoughtVector(_Weighed):
    """values: float32[dim], any length above 0. space: the stamp of the space that it belongs to."""

    values: Float32
    space: str
    weight: float = 1.0


Sought: TypeAlias = SoughtPicture | SoughtStored | SoughtUrl | SoughtWords | SoughtVector


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for, and how. effort 0: the index's own. Raises InvalidQuery naming the field.

    score_threshold: cosine. auto_threshold: it is the index's own match_score instead. phash_gate: Hamming distance.
    duplicate_bits: as RerankQuery has it; no caller says it, an experiment's arm does.
    timeout_ms: for the whole answer. cursor: an answer's next_cursor. user_id: for interactions, and for the side of a
    rollout. session: of the caller, for that side alone.
    """

    sought: tuple[Sought, ...]
    k: int = DEFAULT_K
    filter: Filter | None = None
    score_threshold: float | None = None
    auto_threshold: bool = False
    near_duplicates: NearDuplicates = NearDuplicates.COLLAPSE
    duplicate_bits: int = 0
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
    session: str = ""

    def __post_init__(self) -> None:
        if not self.sought:
            raise InvalidQuery("Say what to look for: an image, an image_id, a text or a vector.", field="image")
        _within("queries", len(self.sought), 1, MAX_SOUGHT)
        for one in self.sought:
            _within(one.weight_field, one.weight, -MAX_WEIGHT, MAX_WEIGHT)
        _within("k", self.k, 1, MAX_K)
        _within("effort", self.effort, 0, 10)
        _within("timeout_ms", self.timeout_ms, 1, MAX_TIMEOUT_MS)
        _within("min_coverage", self.min_coverage, 0.0, 1.0)
        _within("receipts", len(self.receipts), 0, MAX_RECEIPTS)
        _within("user_id", len(self.user_id), 0, MAX_USER_ID_CHARACTERS)
        _within("Omma-Session", len(self.session), 0, MAX_USER_ID_CHARACTERS)
        if self.score_threshold is not None:
            if self.auto_threshold:
                raise InvalidQuery("score_threshold is a number or auto, not both.", field="score_threshold")
            _within("score_threshold", self.score_threshold, -1.0, 1.0)
        if self.phash_gate is not None:
            _within("phash_gate", self.phash_gate, 0, 64)
            if not any(isinstance(one, SoughtPicture | SoughtStored | SoughtUrl) for one in self.sought):
                raise InvalidQuery("phash_gate compares pictures: give an image or an image_id.", field="phash_gate")


def check_space(space: str, sought: Sequence[Sought]) -> None:
    """A space is said of a vector, for both faces. Raises InvalidQuery, field `space`."""
    if space and not any(isinstance(one, SoughtVector) for one in sought):
        raise InvalidQuery("space is the space of a vector, and there is none: give a vector.", field="space")


def _within(field: str, value: float, low: float, high: float) -> None:
    # Written so that NaN fails.
    if not low <= value <= high:
        limit = high if value > high else low
        raise InvalidQuery(f"{field} must be {low} to {high}.", field=field, limit=limit)

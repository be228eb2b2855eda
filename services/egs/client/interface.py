"""What every embedder promises, in process or over gRPC."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from omma.hits import Int32Boxes
from omma.quality import Quality
from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.vectors import Float16, Float32


class Urgency(IntEnum):
    """For whom a picture is embedded, the most urgent first: somebody who waits, what was uploaded, an index that
    answers nobody yet. The numbers are Triton's priorities.
    """

    SEARCH = 1
    INGEST = 2
    BACKFILL = 3


@dataclass(frozen=True, slots=True)
class ImageItem:
    """content: an encoded picture. boxes: int32[n, 4] in pixels of the upright picture; None: the whole picture.

    fractions: the same in 0 … 1 of the upright picture, for a caller that does not know its size; not both.
    windows: also the vectors and boxes of the model's windows, by the same run, behind the whole's; without boxes.
    thumbnail, signature: also make these, of the whole picture; with the signature comes the quality. urgency: among
    those that wait for Triton.
    """

    content: bytes
    boxes: Int32Boxes | None = None
    fractions: tuple[tuple[float, float, float, float], ...] = ()
    windows: bool = False
    thumbnail: bool = False
    signature: bool = False
    urgency: Urgency = Urgency.SEARCH


@dataclass(frozen=True, slots=True)
class TextItem:
    text: str


@dataclass(frozen=True, slots=True)
class EmbeddedItem:
    """vectors: float32[boxes, dim], L2-normalised. boxes: after clipping. phash: of a picture, 0 for a black one; None
    for text, whose width and height are 0.

    confidence: 0 … 1, how far the model trusts itself on the words; 1 for a picture, and where it does not say.
    thumbnail, a WebP file, and signature (omma.images.signature) with quality: when asked for.
    """

    vectors: Float32
    boxes: Int32Boxes
    phash: int | None = None
    width: int = 0
    height: int = 0
    confidence: float = 1.0
    thumbnail: bytes = b""
    signature: bytes = b""
    quality: Quality | None = None


class Embedder(Protocol):
    """One model version."""

    @property
    def space(self) -> Space: ...

    @property
    def has_text_tower(self) -> bool: ...

    @property
    def windows(self) -> int:
        """How many vectors of parts ImageItem.windows adds to a picture's; 0 where they cannot be had."""

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        """One answer an item, in order; an item's own fault (InvalidPicture, UnsupportedMedia, TooLarge, InvalidQuery,
        NoTextTower) is its answer, so that one bad picture never fails its batch. One decode an item.

        Raises Overloaded when the queue is full, OutOfTime.
        """

    async def trained_on(self) -> Float16 | None:
        """float16[n, dim]: middles of the pictures that the model learnt from; None where it does not say.

        Raises ReplicaDown, OutOfTime.
        """

    async def ready(self) -> bool:
        """Whether its towers answer: False while pictures and words cannot be embedded."""

    async def close(self) -> None: ...

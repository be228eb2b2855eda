"""From encoded bytes to what a model's image tower eats: the work of a decode thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from omma.errors import InvalidQuery
from omma.hits import Int32Boxes
from omma.images import (
    Picture,
    PictureFile,
    PictureLimits,
    PixelBox,
    crop_box,
    fraction_box,
    phash,
    quality_of,
    signature,
    thumbnail_webp,
)
from omma.quality import Quality
from omma.vectors import Float32
from services.egs.client import ImageItem
from services.egs.manifest import Preprocessing

Uint8Rows = npt.NDArray[np.uint8]
"""uint8[n, size, size, 3], channels as the model wants them; a quarter of the float tensor while it waits."""

Fractions = tuple[tuple[float, float, float, float], ...]
"""Left, top, right, bottom of each in 0 … 1 of the upright picture."""
MAX_BOXES: Final = 64
_WHOLE: Final = (0.0, 0.0, 1.0, 1.0)
LEAST_SIDE: Final = 512
"""Pixels: twice a thumbnail's side, and more than twice what a model of 224 sees."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One decode: what the tower needs and everything else that is asked of a picture. boxes: after clipping."""

    rows: Uint8Rows
    boxes: Int32Boxes
    phash: int
    width: int
    height: int
    thumbnail: bytes
    signature: bytes
    quality: Quality | None


def prepare(item: ImageItem, limits: PictureLimits, how: Preprocessing, windows: Fractions = ()) -> Prepared:
    """Decode once, crop every box, hash, make the thumbnail. Blocks, also while large pictures wait for memory.

    windows: of the model; an item that asks for them has one row and a box for each of them behind the whole's.

    Raises TooLarge, UnsupportedMedia, InvalidPicture, field `image`; InvalidQuery, field `bbox`.
    """
    file = PictureFile(item.content, limits)
    boxes = cropped = boxes_of(item, file.width, file.height)
    if item.windows:
        boxes = cropped + [fraction_box(box, file.width, file.height) for box in windows]
    with file.decoding(max(LEAST_SIDE, 2 * how.size), cropped) as picture:
        small = picture.reduced(LEAST_SIDE)
        return Prepared(
            rows=rows(picture, cropped, how),
            boxes=np.array(boxes, np.int32),
            phash=phash(small),
            width=picture.width,
            height=picture.height,
            thumbnail=thumbnail_webp(small) if item.thumbnail else b"",
            signature=signature(small) if item.signature else b"",
            quality=quality_of(small) if item.signature else None,
        )


def boxes_of(item: ImageItem, width: int, height: int) -> list[PixelBox]:
    """The item's boxes clipped to its picture; without any, the whole. Raises InvalidQuery, field `bbox`. Pure."""
    given: Sequence[Sequence[float]] = [] if item.boxes is None else item.boxes.tolist()
    if item.windows and (given or item.fractions):
        raise InvalidQuery("Ask for windows or for boxes, not both.", field="bbox")
    if given and item.fractions:
        raise InvalidQuery("Give boxes in pixels or in fractions, not both.", field="bbox")
    if max(len(given), len(item.fractions)) > MAX_BOXES:
        raise InvalidQuery(f"At most {MAX_BOXES} boxes a picture.", field="bbox", limit=MAX_BOXES)
    if item.fractions:
        return [fraction_box(box, width, height) for box in item.fractions]
    return [crop_box(box, width, height) for box in given] or [(0, 0, width, height)]


def rows(picture: Picture, boxes: Sequence[PixelBox], how: Preprocessing) -> Uint8Rows:
    """Each box at the model's size: uint8[boxes, size, size, 3]. Blocks."""
    resample = Image.Resampling[how.resample.upper()]
    size = (how.size, how.size)
    parts = [_WHOLE if how.how == "squash" else middle(box, how.size) for box in boxes]
    made = np.stack(
        [np.asarray(picture.resized(box, size, resample, part)) for box, part in zip(boxes, parts, strict=True)]
    )
    return made if how.channels == "RGB" else made[..., ::-1]


class Pixels:
    """Pictures as a tower's batch; they wait as bytes and become floats at the last moment."""

    def __init__(self, how: Preprocessing) -> None:
        self._how = how

    def __call__(self, jobs: Sequence[Uint8Rows]) -> Float32:
        """float32[n, 3, size, size]. Blocks."""
        return tensor(jobs[0] if len(jobs) == 1 else np.concatenate(jobs), self._how)

    def rows(self, job: Uint8Rows) -> int:
        return len(job)


def tensor(made: Uint8Rows, how: Preprocessing) -> Float32:
    """float32[n, 3, size, size], contiguous: (value - mean) / std. Pure."""
    planes = np.ascontiguousarray(made.transpose(0, 3, 1, 2), dtype=np.float32)
    shape = (1, 3, 1, 1)
    planes -= np.array(how.mean, np.float32).reshape(shape)
    planes /= np.array(how.std, np.float32).reshape(shape)
    return planes


def middle(box: PixelBox, size: int) -> tuple[float, float, float, float]:
    """The part of the box that is left when its shorter side is scaled to size and the middle square kept. Pure.

    In fractions of the box. Whole pixels as torchvision's Resize and CenterCrop count them: the longer side is cut
    down, half a pixel of margin goes to the even side.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    shorter = min(width, height)
    x1, x2 = _middle(size * width // shorter, size)
    y1, y2 = _middle(size * height // shorter, size)
    return x1, y1, x2, y2


def _middle(side: int, size: int) -> tuple[float, float]:
    first = round((side - size) / 2)
    return first / side, (first + size) / side

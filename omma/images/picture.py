"""Opening a picture that may be hostile, and decoding it upright in RGB."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pillow_heif
from PIL import ExifTags, Image

from omma.errors import InvalidPicture, OmmaError, TooLarge
from omma.images.colour import to_rgb
from omma.images.crops import PixelBox
from omma.images.formats import PILLOW_FORMAT, media_type
from omma.images.limits import PictureLimits

# A decoder of its own threads would take cores that the caller has counted.
pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_THEIR_SIDE = {5, 6, 7, 8}
_SCALES = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright.

    pixels: RGB, perhaps at 1/2, 1/4 or 1/8 of width x height, which are the picture's own. media_type: of the bytes.
    """

    pixels: Image.Image
    width: int
    height: int
    media_type: str

    def resized(
        self,
        box: PixelBox,
        size: tuple[int, int],
        filter: Image.Resampling,
        part: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    ) -> Image.Image:
        """The box, in pixels of width x height, squashed to size, as if it had been cropped first.

        Pillow's own box argument would let pixels beyond the edge seep in. part: only this part of the box, in
        fractions of it, fills size; what lies around it in the box does seep in, as if it were cut off afterwards.
        """
        across, down = self.pixels.width / self.width, self.pixels.height / self.height
        left, top = box[0] * across, box[1] * down
        right, bottom = min(box[2] * across, self.pixels.width), min(box[3] * down, self.pixels.height)
        x, y = math.floor(left), math.floor(top)
        cut = self.pixels.crop((x, y, math.ceil(right), math.ceil(bottom)))
        wide, high = right - left, bottom - top
        inner = (
            left - x + part[0] * wide,
            top - y + part[1] * high,
            left - x + part[2] * wide,
            top - y + part[3] * high,
        )
        return cut.resize(size, filter, box=inner)

    def reduced(self, least_side: int) -> Image.Image:
        """All of it at 1/2, 1/4 or 1/8, if that leaves its shorter side at least so long."""
        shorter = min(self.pixels.size)
        scale = next((scale for scale in _SCALES if shorter // scale >= least_side), 1)
        return self.pixels if scale == 1 else self.pixels.reduce(scale)


class PictureFile:
    """An encoded picture whose header was read and whose limits hold; nothing is decoded before `decode`.

    width, height: of the upright picture (after EXIF orientation). One thread at a time.
    """

    def __init__(self, content: bytes, limits: PictureLimits) -> None:
        """Raises TooLarge, UnsupportedMedia, InvalidPicture, each with field `image`. Blocks."""
        limits.check_bytes(len(content))
        self._limits = limits
        self.media_type = media_type(content)
        with _reading(self._limits):
            self._image = Image.open(io.BytesIO(content), formats=[PILLOW_FORMAT[self.media_type]])
            limits.check_pixels(*self._image.size)
            limits.check_frames(self._image, content)
            self._orientation = _orientation(self._image)
            # Pillow turns a TIFF itself and announces the upright size.
            on_its_side = self._orientation in _ON_THEIR_SIDE and self._image.format != "TIFF"
            self.width, self.height = self._image.size[::-1] if on_its_side else self._image.size

    def decode(self, least_side: int = 0, boxes: Sequence[PixelBox] = ()) -> Picture:
        """The picture in RGB. Blocks; call once.

        least_side: of each box, or of the whole picture when there are none, in pixels. Above 0, pixels may be at
        1/2, 1/4 or 1/8 if that leaves the side at least so long: a JPEG skips most of its decoding then, and the rest
        of the way is as short for every format. At twice the size that a model sees, vectors stay within cosine
        0.9997 of the full picture's.
        Raises InvalidPicture, field `image`, for a truncated or corrupt picture.
        """
        scale = self._scale(least_side, boxes or [(0, 0, self.width, self.height)])
        with _reading(self._limits):
            drafted = self._load(scale)
            pixels = to_rgb(self._image)
            if scale > 1 and not drafted:
                pixels = pixels.reduce(scale)
            turn = _UPRIGHT.get(self._orientation)
            if turn is not None and self._image.format != "TIFF":
                pixels = pixels.transpose(turn)
        return Picture(pixels, self.width, self.height, self.media_type)

    def read_through(self) -> None:
        """Meet every fault that `decode` would, at the least cost: a JPEG at 1/8, another format in full. Blocks.

        Raises InvalidPicture, field `image`.
        """
        with _reading(self._limits):
            self._load(_SCALES[0])

    def _load(self, scale: int) -> bool:
        """Decode; True if the decoder itself reduced the picture by scale."""
        width, height = self._image.size
        if scale > 1 and self._image.format in {"JPEG", "MPO"}:
            self._image.draft(self._image.mode, (width // scale, height // scale))
        self._image.load()
        return self._image.width < width

    @staticmethod
    def _scale(least_side: int, boxes: Sequence[PixelBox]) -> int:
        side = min(min(right - left, bottom - top) for left, top, right, bottom in boxes)
        return next((scale for scale in _SCALES if least_side and side // scale >= least_side), 1)


@dataclass(frozen=True, slots=True)
class Verified:
    """What an upload is: its media type and the size of the upright picture in pixels."""

    media_type: str
    width: int
    height: int


def verify(content: bytes, limits: PictureLimits | None = None) -> Verified:
    """Whether the whole picture can be read, and what it is, as fast as its format allows. Blocks.

    Raises TooLarge, UnsupportedMedia, InvalidPicture, each with field `image`.
    """
    file = PictureFile(content, limits or PictureLimits())
    file.read_through()
    return Verified(file.media_type, file.width, file.height)


@contextmanager
def _reading(limits: PictureLimits) -> Iterator[None]:
    try:
        yield
    except OmmaError:
        raise
    except Image.DecompressionBombError as fault:
        # Pillow's own limit, which comes before ours can be asked.
        raise TooLarge(
            f"The picture has more than {limits.max_pixels:,} pixels.", field="image", limit=limits.max_pixels
        ) from fault
    except Exception as fault:
        # Hostile bytes make decoders raise nearly anything: OSError, SyntaxError, struct.error, IndexError, ...
        raise InvalidPicture(
            f"The picture is cut off or damaged: {fault or type(fault).__name__}", field="image"
        ) from (fault)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - EXIF that cannot be read turns nothing; the pixels decide what the picture is
        return 1

"""Opening a picture that may be hostile, and decoding it upright in RGB."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageFile

from omma.images.colour import BAND_PIXELS, to_srgb
from omma.images.crops import PixelBox
from omma.images.cut_off import completed_jpeg, has_most_rows_of_png
from omma.images.faults import reading
from omma.images.formats import FORMATS, media_type
from omma.images.limits import DEFAULT_LIMITS, PictureLimits
from omma.images.memory import DECODING
from omma.images.png import stripped
from omma.images.profiles import profile_of

# PictureLimits are asked before anything is decoded; Pillow's own limit would be a second one.
Image.MAX_IMAGE_PIXELS = None
# Blocks of 16 MB, Pillow's own, malloc keeps for the thread that freed them: four threads that had decoded 128
# megapixels one after the other held 1.6 GB. Beyond 32 MB they go back at once: 0.65 GB at most, then 0.15.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]  # documented, not exported

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
_PIXEL_BYTES = 4
"""Pillow's, of RGB too."""
_BAND_BYTES = 16 * BAND_PIXELS


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

    Of an animation, or a file of several pictures, the first (HEIC: the primary) is read, and no other looked at.
    width, height: of the upright picture (after EXIF orientation). One thread at a time.
    """

    def __init__(self, content: bytes, limits: PictureLimits) -> None:
        """Raises TooLarge, UnsupportedMedia, InvalidPicture, each with field `image`. Blocks."""
        limits.check_bytes(len(content))
        self._limits = limits
        self.media_type = media_type(content)
        with reading():
            profile: bytes | None = None
            if self.media_type == "image/png":
                png = stripped(content)
                content, profile = png.content, png.profile
            self._content = content
            self._image = self._opened(content)
            limits.check_pixels(*self._image.size)
            self._profile = profile or self._image.info.get("icc_profile")
            self._orientation = _orientation(self._image)
            # Pillow turns a TIFF itself and announces the upright size.
            on_its_side = self._orientation in _ON_THEIR_SIDE and self._image.format != "TIFF"
            self.width, self.height = self._image.size[::-1] if on_its_side else self._image.size

    def decode(self, least_side: int = 0, boxes: Sequence[PixelBox] = ()) -> Picture:
        """As `decoding`, for a caller that holds one picture at a time."""
        with self.decoding(least_side, boxes) as picture:
            return picture

    @contextmanager
    def decoding(self, least_side: int = 0, boxes: Sequence[PixelBox] = ()) -> Iterator[Picture]:
        """The picture in sRGB; its memory counts until the block ends. Blocks, also for memory; call once.

        least_side: of each box, or of the whole picture when there are none, in pixels. Above 0, pixels may be at
        1/2, 1/4 or 1/8 if that leaves the side at least so long: a JPEG skips most of its decoding then, and the rest
        of the way is as short for every format. At twice the size that a model sees, vectors stay within cosine
        0.9997 of the full picture's.
        Raises InvalidPicture, UnsupportedMedia, field `image`, for a truncated or corrupt picture.
        """
        scale = self._scale(least_side, boxes)
        with DECODING.holding(self._bytes_needed(scale), self._limits.decode_bytes):
            with reading():
                pixels = self._pixels(scale)
            yield Picture(pixels, self.width, self.height, self.media_type)

    def read_through(self) -> None:
        """Meet every fault that `decode` would, at the least cost: a JPEG at 1/8, another format in full. Blocks.

        Raises InvalidPicture, UnsupportedMedia, field `image`.
        """
        with DECODING.holding(self._bytes_needed(_SCALES[0]), self._limits.decode_bytes), reading():
            self._load(_SCALES[0])
            self._image.close()

    def _pixels(self, scale: int) -> Image.Image:
        drafted = self._load(scale)
        pixels = to_srgb(self._image, 1 if drafted else scale, profile_of(self._profile))
        if pixels is not self._image:
            self._image.close()  # the whole picture, when what is asked for is an eighth of it
        turn = _UPRIGHT.get(self._orientation)
        return pixels if turn is None or self.media_type == "image/tiff" else pixels.transpose(turn)

    def _load(self, scale: int) -> bool:
        """Decode; True if the decoder itself reduced the picture by scale."""
        try:
            return self._decoded(scale)
        except Exception:
            if self.media_type == "image/jpeg" and (whole := completed_jpeg(self._content)):
                self._image = self._opened(whole)
                return self._decoded(scale)
            if self.media_type == "image/png" and has_most_rows_of_png(self._content, self._image.height):
                self._image.tile = []  # the rows that came are there; what lacks stays empty
                return False
            raise

    def _decoded(self, scale: int) -> bool:
        width, height = self._image.size
        if scale > 1 and self.media_type == "image/jpeg":
            self._image.draft(self._image.mode, (width // scale, height // scale))
        self._image.load()
        return self._image.width < width

    def _opened(self, content: bytes) -> ImageFile.ImageFile:
        """By its plugin itself: Image.open has a limit of its own, and tells a fault by its file object."""
        return FORMATS[self.media_type].plugin(io.BytesIO(content), "")

    def bytes_needed(self, least_side: int = 0, boxes: Sequence[PixelBox] = ()) -> int:
        """What `decoding` counts: held at most beside the encoded bytes, from above; measured by
        loadtests/picture_memory.py.
        """
        return self._bytes_needed(self._scale(least_side, boxes))

    def _bytes_needed(self, scale: int) -> int:
        pixels = self.width * self.height
        if self.media_type == "image/jpeg":
            # Of a progressive one libjpeg holds each coefficient, two bytes, of each component, however it is scaled.
            coefficients = 2 * len(self._image.getbands()) if self._image.info.get("progressive") else 0
            return round(pixels * (coefficients + 3 * _PIXEL_BYTES / scale**2))
        made = 2 * _PIXEL_BYTES / scale**2  # of what is made, to which a profile or a turn adds another
        return round(pixels * (FORMATS[self.media_type].bytes_a_pixel + made)) + _BAND_BYTES

    def _scale(self, least_side: int, boxes: Sequence[PixelBox]) -> int:
        boxes = boxes or [(0, 0, self.width, self.height)]
        side = min(min(right - left, bottom - top) for left, top, right, bottom in boxes)
        return next((scale for scale in _SCALES if least_side and side // scale >= least_side), 1)


@dataclass(frozen=True, slots=True)
class Verified:
    """What an upload is: its media type and the size of the upright picture in pixels."""

    media_type: str
    width: int
    height: int


def verify(content: bytes, limits: PictureLimits = DEFAULT_LIMITS) -> Verified:
    """Whether the whole picture can be read, and what it is, as fast as its format allows. Blocks.

    Raises TooLarge, UnsupportedMedia, InvalidPicture, each with field `image`.
    """
    file = PictureFile(content, limits)
    file.read_through()
    return Verified(file.media_type, file.width, file.height)


def _orientation(image: Image.Image) -> int:
    try:
        # Not the plugin's own: that of PNG decodes the picture, in case some EXIF came behind it.
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - EXIF that cannot be read turns nothing; the pixels decide what the picture is
        return 1

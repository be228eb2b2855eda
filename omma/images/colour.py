"""Any colour mode to 8-bit sRGB, so that one picture gives one vector however it was stored."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from omma.images.profiles import Profile

_WHITE: Final = (255, 255, 255)
_GREY: Final = (128, 128, 128)
_WHITISH: Final = 240
"""What is nowhere darker would not be seen on white."""
_ALPHA_MODES = {"LA", "La", "PA", "RGBA", "RGBa"}
_MAY_HAVE_A_TRANSPARENT_COLOUR = {"1", "L", "P", "RGB"}
BAND_PIXELS: Final = 1 << 20
"""Converted at once: 4 MB of RGB beside the picture, instead of the whole of it a second and a third time."""

Convert = Callable[[Image.Image], Image.Image]


def to_srgb(image: Image.Image, scale: int, profile: Profile | None) -> Image.Image:
    """8-bit sRGB of the loaded picture at 1/scale: alpha on white, and on grey what is white itself, as
    many icons are; 16-bit and float scaled (not clipped).

    profile: what the picture says that its numbers mean; one of other colours than it has is ignored.
    Beside the picture and what is made it holds a band of a million pixels.
    """
    convert, described = _plan(image, profile)
    made = _reduced(image, scale, convert)
    return made if described is None else described.to_srgb(made)


def _plan(image: Image.Image, profile: Profile | None) -> tuple[Convert, Profile | None]:
    """How a band becomes what is reduced, and the profile that describes that, if one does."""
    described = profile if profile is not None and profile.mode == image.mode else None
    if (described or image.mode == "RGB") and not _has_alpha(image):
        return _as_it_is, described
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        low, high = _range(image)
        as_grey = profile is not None and profile.mode == "L"

        def scaled(band: Image.Image) -> Image.Image:
            grey = _scaled(band, low, high)
            return grey if as_grey else grey.convert("RGB")

        return scaled, profile if as_grey else None
    background = _GREY if _has_alpha(image) and _is_white_on_nothing(image) else _WHITE
    if profile is not None and profile.mode == "L" and image.mode in {"LA", "1", "L"}:
        return lambda band: to_rgb(band, background).getchannel(0), profile
    is_rgb = profile is not None and profile.mode == "RGB" and image.mode not in {"CMYK", "LAB"}
    return lambda band: to_rgb(band, background), profile if is_rgb else None


def to_rgb(image: Image.Image, background: tuple[int, int, int] = _WHITE) -> Image.Image:
    """8-bit RGB of the numbers as they are, of a mode whose range is known."""
    if _has_alpha(image):
        return _laid_on(background, image)
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _reduced(image: Image.Image, scale: int, convert: Convert) -> Image.Image:
    rows = max(1, BAND_PIXELS // image.width // scale) * scale
    if rows >= image.height or convert is _as_it_is:
        made = convert(image)
        return made if scale == 1 else made.reduce(scale)
    whole: Image.Image | None = None
    for top, band in _bands(image, rows):
        part = convert(band)
        part = part if scale == 1 else part.reduce(scale)
        if whole is None:
            whole = Image.new(part.mode, (part.width, -(-image.height // scale)))
        whole.paste(part, (0, top // scale))
    assert whole is not None
    return whole


def _bands(image: Image.Image, rows: int) -> Iterator[tuple[int, Image.Image]]:
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _as_it_is(image: Image.Image) -> Image.Image:
    return image


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in _ALPHA_MODES or (image.mode in _MAY_HAVE_A_TRANSPARENT_COLOUR and "transparency" in image.info)


def _laid_on(background: tuple[int, int, int], image: Image.Image) -> Image.Image:
    rgba = _rgba(image)
    picture = Image.new("RGB", rgba.size, background)
    picture.paste(rgba, mask=rgba)  # half the memory of alpha_composite
    return picture


def _is_white_on_nothing(image: Image.Image) -> bool:
    """Whether parts are seen, and all of them are white: one look at each band, at most of a picture the first."""
    shown, hidden = False, False
    for _, band in _bands(image, max(1, BAND_PIXELS // image.width)):
        if np.asarray(_laid_on(_WHITE, band)).min() < _WHITISH:
            return False
        alpha = np.asarray(_rgba(band).getchannel("A"))
        shown, hidden = shown or bool(alpha.max() > 0), hidden or bool(alpha.min() < 255)
    return shown and hidden


def _rgba(image: Image.Image) -> Image.Image:
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _range(image: Image.Image) -> tuple[float, float]:
    """The range that a picture's numbers can have, or, where nothing says it, that they do have."""
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    rows = max(1, BAND_PIXELS // image.width)
    extremes = [(float(v.min()), float(v.max())) for v in (_values(band) for _, band in _bands(image, rows))]
    low, high = min(one for one, _ in extremes), max(one for _, one in extremes)
    if low >= 0 and high <= 1 and image.mode == "F":
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    if low >= 0 and high <= 65535:
        return 0.0, 65535.0
    return low, high


def _values(image: Image.Image) -> npt.NDArray[np.float32]:
    return np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)


def _scaled(image: Image.Image, low: float, high: float) -> Image.Image:
    """Grey numbers of that range to 0 ... 255."""
    grey = ((_values(image) - low) * (255.0 / max(high - low, 1e-12))).round().astype(np.uint8)
    return Image.fromarray(grey)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    # Pillow converts Lab only through littleCMS; building the transform takes a millisecond and is thread-safe.
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if converted is None:
        raise ValueError("littleCMS returned no picture")
    return converted

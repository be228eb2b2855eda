"""Any colour mode to 8-bit RGB, so that one picture gives one vector however it was stored."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_WHITE = (255, 255, 255)
_ALPHA_MODES = {"LA", "La", "PA", "RGBA", "RGBa"}
_MAY_HAVE_A_TRANSPARENT_COLOUR = {"1", "L", "P", "RGB"}


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of the loaded picture: alpha on white, 16-bit and float scaled (not clipped), CMYK without profile."""
    mode = image.mode
    if mode in _ALPHA_MODES or (mode in _MAY_HAVE_A_TRANSPARENT_COLOUR and "transparency" in image.info):
        return _on_white(image)
    if mode.startswith("I;16") or mode in {"I", "F"}:
        return _scaled(image).convert("RGB")
    if mode == "LAB":
        return _lab_to_rgb(image)
    return image if mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    picture = Image.new("RGB", rgba.size, _WHITE)
    picture.paste(rgba, mask=rgba)  # half the memory of alpha_composite
    return picture


def _scaled(image: Image.Image) -> Image.Image:
    """Grey numbers to 0 ... 255 by the range that they can have, or, where nothing says it, that they do have."""
    values: npt.NDArray[np.float32] = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 1 and image.mode == "F":
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    grey = ((values - low) * (255.0 / max(high - low, 1e-12))).round().astype(np.uint8)
    return Image.fromarray(grey)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    # Pillow converts Lab only through littleCMS; building the transform takes a millisecond and is thread-safe.
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if converted is None:
        raise ValueError("littleCMS returned no picture")
    return converted

"""Any colour mode to 8-bit RGB, so that one picture gives one vector however it was stored."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_WHITE = (255, 255, 255, 255)
_ALPHA_MODES = {"LA", "La", "PA", "RGBA", "RGBa"}


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of the loaded picture: alpha on white, 16-bit and float scaled (not clipped), CMYK without profile."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        return _on_white(image)
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return _scaled(image).convert("RGB")
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "I;16", "F"}:
        return _scaled(image).convert("RGB")
    rgba = image.convert("RGBA") if image.mode in {"P", "PA", "L", "RGB", "1", "LA", "RGBA", "RGBa"} else image
    if rgba.mode != "RGBA":  # La has one way out only
        rgba = rgba.convert("LA").convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")


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

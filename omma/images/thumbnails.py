"""Thumbnails, as WebP."""

import io

from PIL import Image

SIDE = 256
_QUALITY = 80
_METHOD = 2
"""libwebp's effort, 0 ... 6."""


def thumbnail_webp(picture: Image.Image, side: int = SIDE) -> bytes:
    """An RGB picture as WebP, its longer side at most `side` pixels; a smaller picture keeps its size. Blocks."""
    width, height = picture.size
    scale = min(1.0, side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = picture if scale == 1.0 else picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()

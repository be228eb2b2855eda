"""Thumbnails, as WebP."""

import io

from PIL import Image

SIDE = 256
_QUALITY = 80
_METHOD = 2
"""libwebp's effort, 0 ... 6."""
_BEFORE_SIZE = 8
"""Bytes that a WebP's size leaves out: `RIFF`, and the size itself."""


def thumbnail_webp(picture: Image.Image, side: int = SIDE) -> bytes:
    """An RGB picture as WebP, its longer side at most `side` pixels; a smaller picture keeps its size. Blocks."""
    width, height = picture.size
    scale = min(1.0, side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = picture if scale == 1.0 else picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()


def is_whole_webp(content: bytes) -> bool:
    """False for a file that was cut off, emptied, or is none: a kept thumbnail has no sha256 to be held against."""
    says_bytes = int.from_bytes(content[4:_BEFORE_SIZE], "little")
    return content.startswith(b"RIFF") and says_bytes == len(content) - _BEFORE_SIZE

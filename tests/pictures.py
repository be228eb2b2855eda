"""Pictures for tests, drawn here: a scene with enough in it for vectors and hashes to tell, and hostile files."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageDraw

pillow_heif.register_heif_opener()

STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation to what a camera did to the upright pixels before it stored them."""


def scene(width: int = 320, height: int = 200, seed: int = 0) -> Image.Image:
    """A gradient with shapes and soft noise, RGB, no symmetry."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = np.stack([200 * x + 20, 160 * y + 40, 220 * (1 - x) * y + 10], axis=-1)
    picture = Image.fromarray(planes.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(9):
        left, top = rng.uniform(0, 0.8, 2) * (width, height)
        right, bottom = left + rng.uniform(0.1, 0.35) * width, top + rng.uniform(0.1, 0.35) * height
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((left, top, right, bottom), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return picture


def encoded(picture: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **({"quality": 95} if format in {"JPEG", "WEBP", "AVIF", "HEIF"} else {}) | options)
    return out.getvalue()


def oriented(upright: Image.Image, orientation: int, format: str = "JPEG", **options: object) -> bytes:
    """The upright picture as a camera stores it with this EXIF orientation."""
    turn = STORED_AS[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = upright if turn is None else upright.transpose(turn)
    return encoded(stored, format, exif=exif.tobytes(), **options)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG whose header claims width x height 8-bit grey; chunks follow it."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def png_bomb(side: int = 30_000) -> bytes:
    """A few kilobytes that would inflate to side x side pixels."""
    row = zlib.compressobj(9)
    packed = b"".join(row.compress(bytes(1 << 20)) for _ in range(side * side >> 20)) + row.flush()
    return png_of(side, side, png_chunk(b"IDAT", packed))


def png_text_bomb() -> bytes:
    """A small picture whose zTXt chunk inflates to 200 MB."""
    row = zlib.compressobj(9)
    packed = b"".join(row.compress(bytes(1 << 20)) for _ in range(200)) + row.flush()
    return png_of(1, 1, png_chunk(b"zTXt", b"Comment\0\0" + packed), png_chunk(b"IDAT", zlib.compress(b"\0\0")))


def animation(frames: int, format: str = "GIF") -> bytes:
    pictures = [Image.new("RGB", (8, 8), (number * 37 % 256, number % 256, 99)) for number in range(frames)]
    return encoded(pictures[0], format, save_all=True, append_images=pictures[1:])

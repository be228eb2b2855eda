"""Pictures for tests, drawn here: a scene with enough in it for vectors and hashes to tell, and hostile files."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageDraw

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


DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.3127, 0.3290), 2.2
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), (0.3127, 0.3290), 2.2
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def rgb_profile(primaries: tuple[tuple[float, float], ...], white: tuple[float, float], gamma: float) -> bytes:
    """An ICC profile (version 2) of a display: chromaticities of red, green and blue and of white, and its gamma."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    own_white = np.array([white[0] / white[1], 1.0, (1 - white[0] - white[1]) / white[1]])
    columns = columns * np.linalg.solve(columns, own_white)
    cone = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ own_white))
    seen = np.linalg.inv(_BRADFORD) @ cone @ _BRADFORD @ columns
    tags = {b"wtpt": _icc_point(_D50)}
    for at, name in enumerate(b"rgb"):
        tags[bytes([name]) + b"XYZ"] = _icc_point(seen[:, at])
        tags[bytes([name]) + b"TRC"] = _icc_gamma(gamma)
    return _icc(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    return _icc(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _icc_point(_D50), b"kTRC": _icc_gamma(gamma)})


def cmyk_profile() -> bytes:
    """Of a press whose inks are paler than their names: what 16 combinations of full inks look like, as Lab."""
    inks = np.array([[c, m, y, k] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)], float)
    seen = (1 - 0.8 * inks[:, :3]) * (1 - 0.8 * inks[:, 3:])
    shown = Image.fromarray((seen * 255).round().astype(np.uint8).reshape(4, 4, 3))
    lab = ImageCms.profileToProfile(
        shown, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    corners = np.asarray(lab).astype(np.uint8).copy()
    corners[..., 1:] ^= 128  # Pillow holds a and b as signed numbers, the table with 128 added
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _s15(np.eye(3).ravel())
    table += straight * 4 + corners.tobytes() + straight * 3
    return _icc(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _icc_point(_D50), b"A2B0": table})


def _icc(device: bytes, colours: bytes, between: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79), **tags}
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x02400000, device, colours, between)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _s15(_D50) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def _s15(values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _icc_point(xyz: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> bytes:
    return b"XYZ " + bytes(4) + _s15(xyz)


def _icc_gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)

"""Pictures that lack only their end: a transfer that stopped a few bytes early, a card that was pulled too soon.

Every viewer shows them; they are taken when at most a thirty-second part of their rows is missing. Only of JPEG and
PNG can that be told. What lacks more is damaged.
"""

import io
import struct
from typing import Final

import numpy as np
from PIL import Image, JpegImagePlugin

from omma.images.png import rows_there

_END_OF_IMAGE: Final = b"\xff\xd9"
_PARTS: Final = 32
_SCALE: Final = 8
_GROUNDS: Final = (0, 128)
_PROGRESSIVE: Final = {0xC2}
_FRAMES: Final = {0xC0, 0xC1, 0xC2}
_SCAN: Final = 0xDA
_COEFFICIENTS: Final = 64


def completed_jpeg(content: bytes) -> bytes | None:
    """The JPEG with the end that it lacks, whose missing rows decode as grey; None when more than the end is missing.

    Decodes it twice at 1/8, but for a progressive one, whose scans tell. Blocks.
    """
    frame, scans = _headers(content)
    lacks_its_end = _has_all_scans(scans) if frame in _PROGRESSIVE else _has_most_rows(content)
    return content + _END_OF_IMAGE if lacks_its_end else None


def has_most_rows_of_png(content: bytes, height: int) -> bool:
    """Whether no more than the end of a PNG is missing. Inflates it once more. Blocks."""
    there = rows_there(content)
    return there is not None and 0 < height - there <= height // _PARTS


def _has_most_rows(content: bytes) -> bool:
    # Rows that two decodings onto different grounds do not agree on were never written.
    first, second = (_decoded_onto(ground, content) for ground in _GROUNDS)
    rows = len(first)
    missing = int((first != second).reshape(rows, -1).any(axis=1).sum())
    # libjpeg holds back the last row of blocks, two at 1/8, until it has seen the end.
    return missing <= max(2, rows // _PARTS) and missing * 4 <= rows


def _decoded_onto(ground: int, content: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(content), "")
    image.draft(image.mode, (image.width // _SCALE, image.height // _SCALE))
    bands = len(image.getbands())
    image.im = Image.new(image.mode, image.size, ground if bands == 1 else (ground,) * bands).im
    try:
        image.load()
    except OSError:
        image.tile = []
    return np.asarray(image)


def _headers(content: bytes) -> tuple[int, list[tuple[bytes, int, int, int]]]:
    """The kind of the frame, 0 for none, and of each scan its components, first and last coefficient and low bit."""
    frame, scans, at = 0, list[tuple[bytes, int, int, int]](), 2
    while (at := content.find(b"\xff", at)) >= 0 and at + 4 <= len(content):
        kind = content[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind in {0x00, 0x01} or 0xD0 <= kind <= 0xD9:  # no length: within a scan, a restart, the end of a thumbnail
            at += 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        body = content[at + 4 : at + 2 + length]
        if kind in _FRAMES:
            frame = kind
        if kind == _SCAN and len(body) >= 4 and len(body) >= 4 + 2 * body[0]:
            first, last, bits = body[1 + 2 * body[0] : 4 + 2 * body[0]]
            scans.append((body[1 : 1 + 2 * body[0] : 2], first, last, bits & 15))
        at += 2 + length
    return frame, scans


def _has_all_scans(scans: list[tuple[bytes, int, int, int]]) -> bool:
    """Whether the last bits of every coefficient have begun to come."""
    components = {one for ids, *_ in scans for one in ids}
    finished = {
        (component, coefficient)
        for ids, first, last, low in scans
        if low == 0
        for component in ids
        for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1)
    }
    return bool(components) and len(finished) == len(components) * _COEFFICIENTS

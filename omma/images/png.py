"""A PNG with only what its pixels need: what is ancillary can be long, a bomb or damaged, and does not matter."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from omma.images.profiles import MAX_PROFILE_BYTES

_START: Final = 8
_PIXELS: Final = {b"IDAT", b"IEND"}
_KEPT: Final = {b"tRNS", b"eXIf"}
_TEXTS: Final = {b"tEXt", b"zTXt", b"iTXt"}
_ORIENTATION: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_MAX_TEXT_BYTES: Final = 1 << 18
"""Of a text that may hold an orientation, packed or not; XMP packets of cameras have some 10 kB."""
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Png:
    """content: a PNG of the first frame's pixels and its orientation. profile: its ICC profile, if it can be read."""

    content: bytes
    profile: bytes | None


def stripped(content: bytes) -> Png:
    """Without ancillary chunks (PNG, section 5.4: a small first letter) and other frames; what is cut off stays so.

    An orientation that comes behind the pixels is put before them, so that it can be read without decoding.
    """
    view = memoryview(content)
    before, pixels = [view[:_START]], list[memoryview]()
    profile: bytes | None = None
    for kind, start, end in _chunks(content):
        body = view[start + 8 : end - 4]
        if kind == b"iCCP" and profile is None:
            profile = _profile(body)
        if kind in _PIXELS:
            pixels.append(view[start:end])
        elif _needed(kind, body):
            before.append(view[start:end])
    return Png(b"".join([*before, *pixels]), profile)


def rows_there(content: bytes) -> int | None:
    """Whole rows of pixels that the file holds; None when it is interlaced. Inflates a megabyte at a time."""
    width, _, depth, colours, *_, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    if interlaced:
        return None
    bits = width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    inflated, unpacker = 0, zlib.decompressobj()
    try:
        for kind, start, end in _chunks(content):
            packed: bytes | memoryview = memoryview(content)[start + 8 : end - 4] if kind == b"IDAT" else b""
            while packed:
                inflated += len(unpacker.decompress(packed, _BLOCK))
                packed = unpacker.unconsumed_tail
    except zlib.error:
        pass
    return inflated // (1 + (int(bits) + 7) // 8)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk to IEND; the last may be cut off."""
    at = _START
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = min(at + 12 + length, len(content))
        yield kind, at, end
        if kind == b"IEND":
            break
        at = end


def _needed(kind: bytes, body: memoryview) -> bool:
    if kind in _TEXTS:
        return len(body) <= _MAX_TEXT_BYTES and bytes(body[:32]).startswith(_ORIENTATION) and _small(kind, body)
    return kind in _KEPT or not kind[0] & 0x20


def _small(kind: bytes, body: memoryview) -> bool:
    """Whether a text stays small when it is unpacked."""
    _, _, rest = bytes(body).partition(b"\0")
    if kind == b"zTXt":
        return _inflated(rest[1:], _MAX_TEXT_BYTES) is not None
    if kind == b"iTXt" and rest[:1] == b"\1":
        *_, packed = rest[2:].split(b"\0", 2)
        return _inflated(packed, _MAX_TEXT_BYTES) is not None
    return True


def _profile(body: memoryview) -> bytes | None:
    name, _, rest = bytes(body).partition(b"\0")
    return _inflated(rest[1:], MAX_PROFILE_BYTES) if len(name) <= 79 and rest[:1] == b"\0" else None


def _inflated(packed: bytes, most: int) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        made = unpacker.decompress(packed, most + 1)
    except zlib.error:
        return None
    return made if len(made) <= most and unpacker.eof else None

"""Which pictures Omma reads, told from their first bytes: a file's name and a client's word for it are not trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pillow_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from omma.errors import UnsupportedMedia

# A decoder of its own threads would take cores that the caller has counted.
pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class _FirstWebP(WebPImagePlugin.WebPImageFile):
    """Lets go of libwebp's two canvases before Pillow makes its own: 12 bytes a pixel instead of 16."""

    def _get_next(self) -> tuple[bytes, int, int]:
        made = super()._get_next()
        del self._decoder
        return made


@dataclass(frozen=True, slots=True)
class Format:
    """plugin: the one class of Pillow's that may open it; no other ever sees the bytes. suffixes: of file names.

    bytes_a_pixel: held while all of it is decoded, measured with docs/benchmarks.md's `picture_memory`.
    """

    name: str
    plugin: Callable[[Any, str], ImageFile.ImageFile]
    suffixes: tuple[str, ...]
    bytes_a_pixel: float


FORMATS: Final = {
    # The plugin itself, not jpeg_factory: of a picture of two cameras (MPO) the first counts, whatever its index says.
    "image/jpeg": Format(
        "JPEG", JpegImagePlugin.JpegImageFile, (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"), 4.2
    ),
    "image/png": Format("PNG", PngImagePlugin.PngImageFile, (".png", ".apng"), 4.2),
    "image/webp": Format("WebP", _FirstWebP, (".webp",), 12.4),
    "image/gif": Format("GIF", GifImagePlugin.GifImageFile, (".gif",), 4.2),
    "image/bmp": Format("BMP", BmpImagePlugin.BmpImageFile, (".bmp", ".dib"), 4.2),
    "image/tiff": Format("TIFF", TiffImagePlugin.TiffImageFile, (".tif", ".tiff"), 8.2),
    "image/heic": Format("HEIC", pillow_heif.HeifImageFile, (".heic", ".heif", ".hif", ".heics", ".heifs"), 8.5),
    "image/avif": Format("AVIF", AvifImagePlugin.AvifImageFile, (".avif", ".avifs"), 12.1),
}
"""Every format that Omma reads, by media type."""

PICTURE_SUFFIXES: Final = frozenset(suffix for format in FORMATS.values() for suffix in format.suffixes)
"""Of file names, lower case with their dot: which files of a folder are taken for pictures before one is opened."""

_PREFIXES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
)
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}
"""A text that begins with BM is common; one with a bitmap header's length behind it is not."""
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def media_type(content: bytes) -> str:
    """The media type of an encoded picture, a key of FORMATS. Reads the first bytes only; decodes nothing.

    Raises UnsupportedMedia, field `image`, for what is no picture or one of another format.
    """
    found = _sniff(content)
    if found is None:
        what = "There are no bytes" if not content else "These bytes are no picture"
        *most, last = (format.name for format in FORMATS.values())
        raise UnsupportedMedia(f"{what}; send {', '.join(most)} or {last}.", field="image")
    return found


def _sniff(content: bytes) -> str | None:
    for prefix, found in _PREFIXES:
        if content.startswith(prefix):
            return found
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in _BMP_HEADER_BYTES:
        return "image/bmp"
    if content[4:8] == b"ftyp":
        return _sniff_ftyp(content)
    return None


def _sniff_ftyp(content: bytes) -> str | None:
    """ISO/IEC 14496-12 section 4.3: length, `ftyp`, major brand, version, compatible brands."""
    end = min(int.from_bytes(content[:4], "big"), 256)
    brands = [content[8:12], *(content[at : at + 4] for at in range(16, end - 3, 4))]
    # An AVIF may call itself mif1 first, and then says avif among its compatible brands.
    if _AVIF_BRANDS.intersection(brands):
        return "image/avif"
    return "image/heic" if _HEIF_BRANDS.intersection(brands) else None

"""Which pictures Omma reads, told from their first bytes: a file's name and a client's word for it are not trusted."""

from omma.errors import UnsupportedMedia

PILLOW_FORMAT = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/heic": "HEIF",
    "image/avif": "AVIF",
}
"""Media type to the one Pillow plugin that may open it; no other plugin ever sees the bytes."""

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
    """The media type of an encoded picture, a key of PILLOW_FORMAT. Reads the first bytes only; decodes nothing.

    Raises UnsupportedMedia, field `image`, for what is no picture or one of another format.
    """
    found = _sniff(content)
    if found is None:
        what = "There are no bytes" if not content else "These bytes are no picture"
        raise UnsupportedMedia(f"{what}; send JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.", field="image")
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

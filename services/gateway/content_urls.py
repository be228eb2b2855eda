"""Where a picture's bytes are asked for. The address carries their hash, so that other bytes have another address."""

from typing import Final

_CHARACTERS: Final = 16
"""Of the hash: 64 bits tell the few versions of one picture apart."""


def content_url(image_id: int, sha256: str) -> str:
    """Of the original, under REST."""
    return f"/images/{image_id}/content?v={content_version(sha256)}"


def thumbnail_url(image_id: int, sha256: str) -> str:
    """Of the WebP thumbnail, under REST."""
    return f"/images/{image_id}/thumbnail?v={content_version(sha256)}"


def content_version(sha256: str) -> str:
    """What `v` must be for an answer that never changes."""
    return sha256[:_CHARACTERS]

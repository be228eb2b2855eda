"""How large a picture may be: the section OMMA_PICTURES__… of every process that reads one, and its checks."""

from typing import Final

from pydantic import Field

from omma.errors import InvalidPicture, TooLarge
from omma.settings import Section


class PictureLimits(Section):
    """The one place of these limits: uploads, searches, ingests, fetched URLs, EGS and the indexer all go by it."""

    max_bytes: int = Field(default=40_000_000, ge=1_000, le=1 << 30, description="of an encoded picture")
    max_pixels: int = Field(default=128_000_000, ge=1_000, le=1 << 30, description="width x height of a picture")
    decode_bytes: int = Field(
        default=1 << 30,
        ge=1 << 26,
        le=1 << 40,
        description="held by large pictures being decoded; who needs more goes alone",
    )

    def check_bytes(self, count: int) -> None:
        """Raises TooLarge, field `image`."""
        if count > self.max_bytes:
            raise TooLarge(
                f"The picture has {count:,} bytes, more than {self.max_bytes:,}.", field="image", limit=self.max_bytes
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raises TooLarge, field `image`; InvalidPicture for a side of zero."""
        if width < 1 or height < 1:
            raise InvalidPicture(f"The picture says that it is {width} x {height} pixels.", field="image")
        if width * height > self.max_pixels:
            raise TooLarge(
                f"The picture is {width} x {height} pixels, more than {self.max_pixels:,}.",
                field="image",
                limit=self.max_pixels,
            )


DEFAULT_LIMITS: Final = PictureLimits()
"""Of a caller without settings: a tool, a test."""

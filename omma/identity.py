"""Ids and what is made of them."""

from dataclasses import dataclass
from typing import NewType

from omma.errors import InvalidQuery

ImageId = NewType("ImageId", int)
"""The catalog's bigserial, 1 … 2**63 - 1; unique over all tenants."""
Version = NewType("Version", int)
"""Of a picture's row, from 1; raised in the transaction that changes the row."""
Tenant = NewType("Tenant", str)
Sha256 = NewType("Sha256", str)
"""Lower-case hex, 64 characters."""

DEFAULT_TENANT = Tenant("default")
MAX_IMAGE_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """A write that a later search can wait for: `image_id@version`."""

    image_id: ImageId
    version: Version

    def __str__(self) -> str:
        return f"{self.image_id}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> "Receipt":
        """Raises InvalidQuery, field `receipts`, unless text is `<positive int>@<positive int>`."""
        image_id, at, version = text.partition("@")
        if not (at and _is_id(image_id) and _is_id(version)):
            raise InvalidQuery(
                f"{text[:80]!r} is no receipt; one looks like 123@4, as a write returned it.", field="receipts"
            )
        return cls(ImageId(int(image_id)), Version(int(version)))


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= MAX_IMAGE_ID

"""Vectors that a caller computed: rows without a picture."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from omma.identity import ImageId, Sha256, Tenant


@dataclass(frozen=True, slots=True)
class GivenVector:
    """space: that it is of. content: float16[dim], little-endian, L2-normalised."""

    space: str
    content: bytes

    @property
    def sha256(self) -> Sha256:
        """What its row has for the bytes of a picture: of the space and the vector."""
        return Sha256(hashlib.sha256(f"{self.space}\0".encode() + self.content).hexdigest())


def uri_of_given(sha256: Sha256) -> str:
    """The uri of a row of which nobody said where its picture lies."""
    return f"vector:{sha256}"


class GivenBook(Protocol):
    """A row has the vector that it was given for as long as it can be restored; it is of that space and of no other."""

    async def given_vectors(self, image_ids: Collection[ImageId]) -> dict[ImageId, GivenVector]:
        """Across tenants, for the indexer; pictures are left out."""

    async def live_keys(self, tenant: Tenant, keys: Collection[str]) -> dict[str, str]:
        """Of these keys, those of rows that are not deleted, with the space that they were given vectors of; "" for a
        picture.
        """

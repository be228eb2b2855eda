"""Tags that nobody gave: what neighbours and the model say of pictures, as a job of the worker last told it.

They stand apart from the tags of people, and no search or filter reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from omma.identity import ImageId, Sha256, Tenant
from omma.keywords import Keyword


@dataclass(frozen=True, slots=True)
class AutoTagged:
    """sha256: of the bytes that they were told of. tags: the surest first."""

    image_id: ImageId
    sha256: Sha256
    tags: tuple[Keyword, ...]


class AutoTagBook(Protocol):
    """Each is one transaction and raises as the catalog's others do."""

    async def keep_auto_tags(self, tenant: Tenant, tagged: Sequence[AutoTagged]) -> None:
        """In place of what was kept of these pictures."""

    async def auto_tags(self, tenant: Tenant, image_id: ImageId) -> tuple[Keyword, ...]:
        """Empty where none were told of the bytes that the picture has now."""

    async def forget_auto_tags(self, tenant: Tenant) -> None:
        """Of every picture."""

"""What people say of two pictures: that they are copies of each other, or that they are not. Each time is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from omma.identity import ImageId, Tenant


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """first: the lower id. id: of two verdicts on one pair the higher one counts."""

    id: int
    first: ImageId
    second: ImageId
    same: bool


class VerdictBook(Protocol):
    """The catalog's calls about verdicts; each is one transaction and raises as the catalog's others do."""

    async def judge_pairs(
        self, tenant: Tenant, pairs: Sequence[tuple[ImageId, ImageId]], *, same: bool, given_by: str
    ) -> None:
        """Raises Absent, field `ids`, when a picture is not there; nothing is said then."""

    async def pair_verdicts(self, after: int, limit: int) -> list[PairVerdict]:
        """Of every tenant, those with higher ids, in their order."""

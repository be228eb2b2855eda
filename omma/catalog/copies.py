"""Copies that the second look told, and the groups that come of them. None of it lies with the vectors."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from omma.identity import ImageId, Tenant

Signatures = Mapping[ImageId, bytes]
NO_GROUP: Final = 0


@dataclass(frozen=True, slots=True)
class CopyPair:
    """first: the lower id. rule: that told them, as `explain` has it. distance: bits of 256 that differ."""

    first: ImageId
    second: ImageId
    rule: str
    distance: int


@dataclass(frozen=True, slots=True)
class Connected:
    """Pictures that pairs connect. ids: sorted. pairs: between them. together, apart: what people said of them last.
    whole: False where there were more than were asked for. groups: which they are in by now; NO_GROUP, or nothing, for
    those in none.
    """

    ids: tuple[ImageId, ...]
    pairs: tuple[CopyPair, ...]
    together: tuple[tuple[ImageId, ImageId], ...]
    apart: tuple[tuple[ImageId, ImageId], ...]
    groups: Mapping[ImageId, int]
    whole: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """Of a picture in a group. group: the lowest id of those that were in it, a name only, whose picture has it as its
    own membership too; NO_GROUP: it is in none any more.

    rule, distance: of the pair that brought it there. id: of two memberships of a picture the higher one counts.
    """

    image_id: ImageId
    group: int
    rule: str
    distance: int
    id: int = 0


class CopyBook(Protocol):
    """The catalog's calls about copies; each is one transaction and raises as the catalog's others do.

    A picture is to be looked at when it is embedded, when its bytes change, when people said something of it, and when
    a copy of it went. With a picture's bytes go its pairs, and it is in no group, in the transaction that changes them.
    """

    async def begin_looking(self, after: ImageId, limit: int) -> list[tuple[ImageId, Tenant]]:
        """Pictures to be looked at with higher ids, in their order, of every tenant; also those that were begun with,
        as by somebody who died.
        """

    async def with_phash(self, tenant: Tenant, phash: int, limit: int) -> list[ImageId]:
        """Pictures that have this pHash, by id."""

    async def keep_copy_pairs(self, tenant: Tenant, seen: Signatures, pairs: Sequence[CopyPair]) -> None:
        """seen: by id the signature that a picture had: where it has another one by now, its pairs are not kept."""

    async def end_looking(self, tenant: Tenant, seen: Signatures) -> None:
        """These are looked at, unless they were to be looked at again since, or have another signature by now."""

    async def connected(self, tenant: Tenant, image_id: ImageId, limit: int) -> Connected:
        """Through pairs and what people said, the picture itself always, `limit` of them at most."""

    async def keep_memberships(self, tenant: Tenant, memberships: Sequence[Membership]) -> None:
        """Of pictures that are there; of those that changed meanwhile too: they are looked at again."""

    async def memberships(self, after: int, limit: int) -> list[Membership]:
        """Of every tenant, those with higher ids, in their order; of NO_GROUP too, so that who follows them knows."""

    async def in_groups_of(self, tenant: Tenant, image_ids: Collection[ImageId], limit: int) -> dict[ImageId, int]:
        """Pictures in the groups of these, and which group: these first where there are more than `limit`."""

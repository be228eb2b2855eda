"""Groups of copies, as people look through them; and what they say of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture
from omma.copies import MERGED, Pair, Signatures, copies, grouped
from omma.errors import Absent, InvalidQuery
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.together import together
from omma.viewing import visible
from services.gateway.callers.changes import concerns
from services.gateway.callers.viewing import is_there, viewer
from services.gateway.curation.verdicts import Verdicts
from services.gateway.search.core import SearchCore

PAGE: Final = 50
"""Pictures that a page looks at, each with a search of the live index; their rows are read at once."""
MAX_JUDGED: Final = 100
_AT_ONCE: Final = 4
_NEIGHBOURS: Final = 24
_KEPT_AT_ONCE: Final = 1_000
_LARGEST_GROUP: Final = 64
"""Of which the neighbours are looked at too; a group that has more is told as far as it was looked at."""
_AS_GOOD: Final = 2
"""Decimals of a score: what differs by less is as good."""


@dataclass(frozen=True, slots=True)
class Group:
    """ids: by id. keep: the best to look at, of equals the largest, the one of most bytes, the oldest. distances: of
    ids, the bits of 256 that lie between each and the nearest of the group; 0 for what people merged.
    """

    ids: tuple[ImageId, ...]
    keep: ImageId
    distances: tuple[int, ...]


class Duplicates:
    """Candidates are looked up in the index that answers searches; the rule and people's verdicts decide."""

    def __init__(self, catalog: Catalog, search: SearchCore, verdicts: Verdicts) -> None:
        self._catalog = catalog
        self._search = search
        self._verdicts = verdicts

    async def page(self, tenant: Tenant, cursor: str | None, deadline: Deadline) -> tuple[list[Group], str | None]:
        """Groups whose lowest id is among the next PAGE pictures, and the cursor of the page after; there may be none.

        Raises InvalidQuery, field `cursor`; Overloaded, ReplicaDown, OutOfTime.
        """
        page = await self._catalog.list_pictures(tenant, visible(None, viewer().visible_to), cursor, PAGE)
        first = [picture.id for picture in page.pictures]
        near = await self._near(tenant, first, deadline)
        known = await self._live(tenant, set().union(*near.values()))
        turns = asyncio.Semaphore(_AT_ONCE)

        async def in_turn(image_id: ImageId) -> Group | None:
            async with turns:
                own = {one: known[one] for one in near[image_id] if one in known}
                return await self._group(tenant, image_id, own, deadline)

        found = await together(map(in_turn, first))
        return [group for group in found if group is not None], page.cursor

    async def judge(self, tenant: Tenant, keep: ImageId, ids: Sequence[ImageId], *, same: bool, given_by: str) -> None:
        """These are copies of `keep`, or are not: remembered, whatever the rule says, until somebody says otherwise.

        Searches through this gateway know it at once, through others within seconds. Raises Absent, InvalidQuery.
        """
        concerns("pictures", " ".join(map(str, (keep, *ids))))
        if keep in ids:
            raise InvalidQuery(f"Picture {keep} is the one to keep: name others in ids.", field="ids")
        seen = await self._live(tenant, {keep, *ids})
        unseen = {keep, *ids} - seen.keys()
        if unseen:
            raise Absent(f"There is no picture {min(unseen)}.", field="ids")
        pairs = [(keep, one) for one in dict.fromkeys(ids)]
        await self._catalog.judge_pairs(tenant, pairs, same=same, given_by=given_by)
        await self._verdicts.look()

    async def _near(
        self, tenant: Tenant, image_ids: Sequence[ImageId], deadline: Deadline
    ) -> dict[ImageId, set[ImageId]]:
        """Of each, what may be a copy of it: the nearest, what people said, its kept group, itself."""
        found = await self._search.neighbours(tenant, image_ids, _NEIGHBOURS, deadline)
        nearest = {one: {ImageId(id) for id in hits.ids.tolist()} for one, hits in found.items()}
        kept = await self._catalog.in_groups_of(tenant, image_ids, _KEPT_AT_ONCE)
        in_group: dict[int, list[ImageId]] = {}
        for id, group in kept.items():
            in_group.setdefault(group, []).append(id)
        return {
            one: {one, *nearest.get(one, ()), *self._verdicts.merged_with(one), *in_group.get(kept.get(one, 0), ())}
            for one in image_ids
        }

    async def _group(
        self, tenant: Tenant, image_id: ImageId, known: dict[ImageId, Picture], deadline: Deadline
    ) -> Group | None:
        """The picture's group, if it has the lowest id there. known: what may be copies of it; gains its members'."""
        if image_id not in known:
            return None
        looked_at = {image_id}
        while True:
            members, pairs = await asyncio.to_thread(self._members, image_id, dict(known))
            if min(members) < image_id:
                return None
            ahead = sorted(members - looked_at)
            if not ahead or len(looked_at) >= _LARGEST_GROUP:
                break
            near = await self._near(tenant, ahead, deadline)
            known |= await self._live(tenant, set().union(*near.values()) - known.keys())
            looked_at.update(ahead)
        if len(members) < 2:
            return None
        ids = tuple(sorted(members))
        best = best_of([known[one] for one in ids])
        return Group(ids, best, tuple(pairs[one].distance for one in ids))

    def _members(self, image_id: ImageId, known: Mapping[ImageId, Picture]) -> tuple[set[ImageId], dict[ImageId, Pair]]:
        order = sorted(known)
        ids = np.array(order, np.int64)
        row_of = {id: row for row, id in enumerate(order)}
        said = self._verdicts.among(ids)
        pairs = copies(Signatures.of([known[id].signature for id in order]))
        pairs += [Pair(row_of[one], row_of[other], 0, MERGED) for one, other in said.together]
        pairs += [
            Pair(row_of[ImageId(one)], row_of[ImageId(other)], distance, rule)
            for one, other, rule, distance in said.grouped
        ]
        leader, nearest = grouped(ids, pairs, [(row_of[one], row_of[other]) for one, other in said.apart])
        rows = np.flatnonzero(leader == leader[row_of[image_id]]).tolist()
        return {order[row] for row in rows}, {order[row]: nearest[row] for row in rows if row in nearest}

    async def _live(self, tenant: Tenant, ids: set[ImageId]) -> dict[ImageId, Picture]:
        found = await self._catalog.pictures(ids) if ids else {}
        return {id: one for id, one in found.items() if is_there(tenant, one)}


def best_of(pictures: Sequence[Picture]) -> ImageId:
    """Of copies the one to keep. Where one's quality was never seen they are told by their size alone. Pure."""
    seen = all(one.quality is not None for one in pictures)

    def order(one: Picture) -> tuple[float, int, int, int]:
        score = one.quality.score(one.width, one.height) if one.quality is not None and seen else 0.0
        return round(score, _AS_GOOD), one.width * one.height, one.bytes, -one.id

    return max(pictures, key=order).id

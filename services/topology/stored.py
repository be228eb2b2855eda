"""Stored pictures of an index asked of its shards, for work that no caller of a search waits for.

A replica that fails is followed by the next; hedging and the like are for searches, in the gateway's fan-out.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import numpy as np

from omma.buckets import shard_of
from omma.errors import OmmaError, ReplicaDown
from omma.hits import FetchedPicture, Hits, merge
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.together import together
from omma.vectors import normalise
from services.nn_shard.client import ShardClient, ShardQuery
from services.topology.indexes import PlacedIndex

T = TypeVar("T")

_FETCHED_AT_ONCE: Final = 256
"""By one call: with five regions of 512 numbers each 1.3 MB on the wire."""


class StoredShard:
    """A shard's stored pictures, from whichever of its replicas answers, wherever they are by then."""

    def __init__(self, placed: Callable[[], PlacedIndex], shard: int) -> None:
        """placed: the index as it is now; raises ReplicaDown."""
        self._placed = placed
        self._shard = shard

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        """As ShardClient.fetch. Raises ReplicaDown when nobody answers."""
        return await _of_any(self._placed(), self._shard, partial(_fetch, tenant, ids, deadline))


async def stored_pictures(
    placed: PlacedIndex, tenant: Tenant, ids: Sequence[ImageId], deadline: Deadline
) -> list[FetchedPicture]:
    """Those of the ids that the index holds, in the order given. Raises ReplicaDown when nobody answers for a shard."""
    by_shard: dict[int, list[ImageId]] = {}
    for id in ids:
        by_shard.setdefault(shard_of(id, len(placed.shards), placed.space.buckets), []).append(id)

    async def of_shard(shard: int, owned: Sequence[ImageId]) -> list[FetchedPicture]:
        found: list[FetchedPicture] = []
        for start in range(0, len(owned), _FETCHED_AT_ONCE):
            fetch = partial(_fetch, tenant, owned[start : start + _FETCHED_AT_ONCE], deadline)
            found += await _of_any(placed, shard, fetch)
        return found

    found = await together(of_shard(shard, owned) for shard, owned in by_shard.items())
    known = {one.image_id: one for part in found for one in part}
    return [known[id] for id in ids if id in known]


async def nearest_to(placed: PlacedIndex, picture: FetchedPicture, k: int, deadline: Deadline) -> Hits:
    """The k best beside a stored picture, by its whole. Raises as `nearest_stored`."""
    query = ShardQuery(
        tenant=picture.tenant,
        index=placed.index.id,
        space=placed.space.id,
        query=normalise(picture.vectors[0].astype(np.float32)),
        k=k,
        exclude_ids=(picture.image_id,),
    )
    return await nearest_stored(placed, query, deadline)


async def nearest_stored(placed: PlacedIndex, query: ShardQuery, deadline: Deadline) -> Hits:
    """The best query.k of all shards. Raises ReplicaDown as `stored_pictures`."""
    asked = replace(query, index=placed.index.id, space=placed.space.id)
    answers = await together(
        _of_any(placed, shard, lambda one: one.search(asked, deadline)) for shard in range(len(placed.shards))
    )
    return merge([answer.hits for answer in answers], query.k)


async def _fetch(
    tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline, replica: ShardClient
) -> list[FetchedPicture]:
    return await replica.fetch(tenant, ids, deadline)


async def _of_any(placed: PlacedIndex, shard: int, ask: Callable[[ShardClient], Awaitable[T]]) -> T:
    failed: Exception | None = None
    for replica in placed.shards[shard]:
        try:
            return await ask(replica)
        except OmmaError as error:
            failed = error
    raise ReplicaDown(f"No replica of shard {shard} answers.") from failed

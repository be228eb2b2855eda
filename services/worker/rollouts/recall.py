"""Recall of an index, measured against exact search with a sample of its own vectors."""

import random
from collections.abc import Sequence

import numpy as np

from omma.hits import FetchedPicture, merge
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.together import together
from omma.vectors import Float32
from services.nn_shard.client import ShardQuery
from services.topology.indexes import PlacedIndex

_K = 10
_CALL_SECONDS = 30.0


async def recall_at_10(placed: PlacedIndex, wanted: int = 64) -> float | None:
    """Mean share of the ten nearest that a usual search finds, over so many of its own vectors; None without pictures.

    Raises what a shard raises.
    """
    sample = await _sample(placed, wanted)
    if not sample:
        return None
    shares = [await _share(placed, one.tenant, one.vectors[0].astype(np.float32)) for one in sample]
    return float(np.mean(shares))


async def _sample(placed: PlacedIndex, wanted: int) -> list[FetchedPicture]:
    found: list[FetchedPicture] = []
    for (replica, *_), digests in zip(
        placed.shards,
        await together(replicas[0].digests(Deadline.after(_CALL_SECONDS)) for replicas in placed.shards),
        strict=True,
    ):
        filled = [bucket for bucket, count in zip(digests.buckets, digests.pictures.tolist(), strict=True) if count]
        each = -(-wanted // len(placed.shards))
        ids: list[ImageId] = []
        for bucket in random.sample(filled, min(each, len(filled))):
            page = await replica.pictures(bucket, 0, Deadline.after(_CALL_SECONDS))
            ids += [ImageId(one) for one in page.ids.tolist()[: 1 + each // len(filled)]]
        found += await replica.fetch(None, ids[:each], Deadline.after(_CALL_SECONDS))
    return found


async def _share(placed: PlacedIndex, tenant: Tenant, vector: Float32) -> float:
    exact, usual = [await _nearest(placed, tenant, vector, exact=exact) for exact in (True, False)]
    return len(set(exact) & set(usual)) / len(exact) if exact else 1.0


async def _nearest(placed: PlacedIndex, tenant: Tenant, vector: Float32, *, exact: bool) -> Sequence[int]:
    query = ShardQuery(tenant, placed.index.id, placed.space.id, vector, _K, exact=exact)
    parts = await together(replicas[0].search(query, Deadline.after(_CALL_SECONDS)) for replicas in placed.shards)
    ids: list[int] = merge([part.hits for part in parts], _K).ids.tolist()
    return ids

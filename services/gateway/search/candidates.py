"""The best candidates of all shards, each asked for no more than it takes.

Pictures lie in shards by a hash of their id, so each shard has its share of the best.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from omma.hits import Hits, merge
from omma.identity import Receipt
from omma.rpc.deadline import Deadline
from omma.telemetry.traces import span
from services.gateway.search.fanout import Fanout, ShardOutcome, require_an_answer
from services.gateway.search.query import SearchQuery
from services.nn_shard.client import ShardQuery
from services.rerank.client import NearDuplicates
from services.topology.indexes import ServedIndex

MAX_POOL: Final = 4_000
"""Candidates fetched at most, however many of them re-ranking takes out."""

_DEVIATIONS: Final = 4
_SPARE: Final = 2
"""A shard's part of the best is binomial: beyond four deviations and two lies one search in thousands."""


async def best_candidates(
    fanout: Fanout, served: ServedIndex, query: ShardQuery, receipts: Sequence[Receipt], deadline: Deadline
) -> tuple[Sequence[ShardOutcome], Hits]:
    """The best query.k of all shards, and who sent them. Raises as Fanout.search, and ReplicaDown when none answered.

    Where its portion may have been too little of a shard, all are asked for query.k, if half of the time is left.
    """
    asked = query.k if query.exact else portion(query.k, len(served.shards))
    had = deadline.remaining_seconds()
    while True:
        with span("shards"):
            of_shard = query if asked == query.k else replace(query, k=asked)
            outcomes = await fanout.search(served, of_shard, receipts, deadline)
        require_an_answer(outcomes)
        with span("merge"):
            parts = [outcome.answer.hits for outcome in outcomes if outcome.answer is not None]
            best = merge(parts, query.k)
        if asked == query.k or deadline.remaining_seconds() <= had / 2 or not may_lack_some(parts, asked, best):
            return outcomes, best
        asked = query.k


def first_pool(query: SearchQuery) -> int:
    """More than k where re-ranking takes some out: half as many again, a multiple under a gate that few pass."""
    if query.phash_gate is not None:
        return min(MAX_POOL, 4 * query.k + 200)
    if query.near_duplicates is NearDuplicates.KEEP:
        return query.k + 16
    return query.k + max(16, query.k // 2)


def portion(k: int, shards: int) -> int:
    """What to ask each shard for, so that the best k of all of them are almost surely among the answers. Pure.

    16 shards asked for 75 each would send 1,200 candidates, of which 75 are used; of 16 each they send 256.
    """
    share = k / shards
    deviation = math.sqrt(share * (1 - 1 / shards))
    return min(k, math.ceil(share + _DEVIATIONS * deviation) + _SPARE)


def may_lack_some(parts: Sequence[Hits], asked: int, best: Hits) -> bool:
    """Whether a shard may hold more of the best than it was asked for: all that it sent is among them. Pure.

    parts: answers of at most `asked` hits. best: what they were merged to. What a shard did not send ranks after its
    last hit, so a last hit that is not among the best leaves nothing out.
    """
    last = {int(part.ids[-1]) for part in parts if len(part) == asked}
    return not last.isdisjoint(best.ids.tolist())

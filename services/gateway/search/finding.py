"""From a vector to ranked hits: every shard is asked, what they found is merged and re-ranked."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from omma.copies import GroupPair
from omma.errors import CoverageTooLow, InvalidQuery, ReplicaDown, causes
from omma.filters import canonical
from omma.hits import Degraded, Hits, no_hits
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.telemetry.traces import span
from omma.vectors import Float16, Int64
from services.gateway.callers.viewing import viewer
from services.gateway.search.candidates import MAX_POOL, best_candidates, first_pool
from services.gateway.search.fanout import Coverage, Fanout, ShardOutcome
from services.gateway.search.query import MAX_K, SearchQuery
from services.gateway.search.resolve import Resolved
from services.nn_shard.client import FetchedPicture, ShardQuery
from services.rerank.client import NearDuplicates, RankedHit, Reranked, Reranker, RerankQuery
from services.topology.indexes import ServedIndex

_RERANK_SHARE: Final = 0.2
_RERANK_SECONDS: Final = 0.05
"""Kept of the remaining time for re-ranking: 200 candidates take 1 ms, and so may the executor that they wait for."""
_ANSWER_SECONDS: Final = 0.01
"""Kept of that for the answer itself: one that comes after the caller has gone is none."""

_FETCH_SHARE: Final = 0.5
"""Of the time for re-ranking, that fetching the vectors that decide may take."""
_OFTEN: Final = 0.5
_DOUBT_WEIGHT: Final = 0.1
_LOOKS_AGAIN: Final = 16
"""Where in half of the searches of late vectors had to be fetched, they travel with the hits, except of every 16th."""

logger = logging.getLogger(__name__)

IdPairs = tuple[tuple[ImageId, ImageId], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Of some pictures: pairs that people said are copies of each other, pairs that are not, and pairs of one kept
    group.
    """

    together: IdPairs = ()
    apart: IdPairs = ()
    grouped: tuple[GroupPair, ...] = ()


Verdicts = Callable[[Int64], Said]


@dataclass(frozen=True, slots=True)
class Found:
    """What the shards found, ranked. reranked: None when re-ranking was skipped. undecided: candidates whose vectors
    were to tell whether they are copies, and could not be had: they count as none.
    """

    candidates: Hits
    ranked: tuple[RankedHit, ...]
    reranked: Reranked | None
    outcomes: Sequence[ShardOutcome]
    coverage: Coverage
    undecided: tuple[ImageId, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A search of a tenant, and the index that answers it."""

    served: ServedIndex
    tenant: Tenant
    query: SearchQuery


@dataclass(frozen=True, slots=True)
class Side:
    """What one index has to say to a query. stage_us: microseconds by stage, of this index alone."""

    served: ServedIndex
    resolved: Resolved
    found: Found
    stage_us: Mapping[str, int]


class Finder:
    """One for all searches of a gateway."""

    def __init__(self, fanout: Fanout, reranker: Reranker, verdicts: Verdicts) -> None:
        self._fanout = fanout
        self._reranker = reranker
        self._verdicts = verdicts
        self._doubtful_share = 0.0
        self._searches = 0

    async def find(
        self, served: ServedIndex, query: SearchQuery, shard_query: ShardQuery, resolved: Resolved, deadline: Deadline
    ) -> Found:
        """More are asked for until k are left, none better can come, or there is no time for another round.

        shard_query: its k is chosen here. Raises ReplicaDown, CoverageTooLow, InvalidQuery, OutOfTime.
        """
        pool = first_pool(query)
        with_vectors = self._reranker.needs_vectors(query.policy) or self._often_doubtful(query)
        while True:
            asked = replace(shard_query, k=pool, with_vectors=with_vectors)
            found = await self._round(served, query, asked, resolved, deadline)
            spent = len(found.candidates) < pool or pool >= MAX_POOL or found.reranked is None
            if len(found.ranked) >= query.k or spent or _below_threshold(found.candidates, query):
                return found
            if deadline.remaining_seconds() < 2 * _RERANK_SECONDS:
                return found
            pool = min(MAX_POOL, 4 * pool)

    async def exactly(self, served: ServedIndex, asked: ShardQuery, k: int, deadline: Deadline) -> Sequence[int]:
        """Ids of the k best, every vector looked at. Raises ReplicaDown where a shard is missing, OutOfTime."""
        query = replace(asked, k=k, exact=True, with_payload=False, with_signatures=False)
        outcomes, best = await best_candidates(self._fanout, served, query, (), deadline)
        if any(one.answer is None for one in outcomes):
            raise ReplicaDown("Not every shard could be asked.")
        ids: list[int] = best.ids.tolist()
        return ids

    async def _round(
        self, served: ServedIndex, query: SearchQuery, shard_query: ShardQuery, resolved: Resolved, deadline: Deadline
    ) -> Found:
        reserve = min(_RERANK_SECONDS, _RERANK_SHARE * deadline.require())
        before = deadline.earlier(reserve)
        outcomes, candidates = await best_candidates(self._fanout, served, shard_query, query.receipts, before)
        coverage = self._fanout.coverage(served, outcomes)
        if coverage.fraction < query.min_coverage:
            raise CoverageTooLow(
                f"{coverage.shards_answered} of {coverage.shards_total} shards answered, for {coverage.fraction:.1%} "
                "of what is live.",
                field="min_coverage",
                limit=query.min_coverage,
            )
        if not len(candidates):
            candidates = no_hits(dim=served.space.dim, with_payload=True, with_signatures=True)
        asked = Asked(served, shard_query.tenant, query)
        reranked, undecided = await self._rerank(asked, candidates, resolved.phash, deadline)
        ranked = _by_score(query, candidates, resolved) if reranked is None else reranked.ranked
        return Found(candidates, ranked, reranked, outcomes, coverage, undecided)

    async def grouped(self, asked: Asked, candidates: Hits, deadline: Deadline) -> Reranked | None:
        """The near-duplicates among what is to be shown, best first: every candidate, in a group of its own or others'.

        asked: the index whose vectors tell where signatures do not. None where the query wants none told, and where
        re-ranking failed or there is no time.
        """
        query = asked.query
        if query.near_duplicates is NearDuplicates.KEEP or not len(candidates):
            return None
        k = min(MAX_K, len(candidates))
        whole = replace(query, k=k, near_duplicates=NearDuplicates.COLLAPSE, score_threshold=None, phash_gate=None)
        regrouped, _ = await self._rerank(replace(asked, query=whole), candidates, None, deadline)
        return regrouped

    async def _rerank(
        self, asked: Asked, candidates: Hits, phash: int | None, deadline: Deadline
    ) -> tuple[Reranked | None, tuple[ImageId, ...]]:
        """phash: of the query picture. None when it failed or there is no time: the answer says so and comes all the
        same. And who is undecided.
        """
        query = asked.query
        folds = query.near_duplicates is not NearDuplicates.KEEP
        said = self._verdicts(candidates.ids) if folds else Said()
        rerank_query = RerankQuery(
            k=query.k,
            policy=query.policy,
            near_duplicates=query.near_duplicates,
            query_phash=phash,
            phash_gate=query.phash_gate,
            score_threshold=query.score_threshold,
            duplicate_bits=query.duplicate_bits,
            together=said.together,
            apart=said.apart,
            grouped=said.grouped,
        )
        try:
            with span("rerank"):
                before = deadline.earlier(min(_ANSWER_SECONDS, _RERANK_SHARE * deadline.require()))
                async with asyncio.timeout(before.require()):
                    candidates, undecided = await self._decidable(rerank_query, asked, candidates, before)
                    return await self._reranker.rerank(rerank_query, candidates, before), undecided
        except InvalidQuery:
            raise
        except Exception as error:  # noqa: BLE001  a lost re-ranker costs the order, never the answer
            logger.warning("re-ranking was skipped", extra={"reason": causes(error)})
            return None, ()

    async def _decidable(
        self, query: RerankQuery, asked: Asked, candidates: Hits, deadline: Deadline
    ) -> tuple[Hits, tuple[ImageId, ...]]:
        """The candidates with the vectors that decide, and those whose could not be had."""
        if candidates.vectors is not None:
            return candidates, ()
        doubtful = self._reranker.in_doubt(query, candidates)
        self._doubtful_share += _DOUBT_WEIGHT * (bool(doubtful) - self._doubtful_share)
        if not doubtful:
            return candidates, ()
        ids = [ImageId(int(candidates.ids[position])) for position in doubtful]
        until = deadline.earlier((1 - _FETCH_SHARE) * deadline.remaining_seconds())
        pictures = await self._fanout.fetch_some(asked.served, asked.tenant, ids, until)
        vectors, undecided = _vectors_of(doubtful, candidates, pictures, asked.served.space.dim)
        return replace(candidates, vectors=vectors), undecided

    def _often_doubtful(self, query: SearchQuery) -> bool:
        self._searches += 1
        of_use = query.near_duplicates is not NearDuplicates.KEEP and self._searches % _LOOKS_AGAIN != 0
        return of_use and self._doubtful_share > _OFTEN


def _vectors_of(
    positions: Sequence[int], candidates: Hits, pictures: Mapping[ImageId, FetchedPicture], dim: int
) -> tuple[Float16, tuple[ImageId, ...]]:
    """float16[n, dim]: of the regions that matched; zeros for all others. And those of the positions that have none:
    the picture could not be had, or changed meanwhile.
    """
    vectors = np.zeros((len(candidates), dim), np.float16)
    undecided = []
    for position in positions:
        id = ImageId(int(candidates.ids[position]))
        picture = pictures.get(id)
        if picture is None or picture.version != candidates.versions[position]:
            undecided.append(id)
            continue
        matched = np.flatnonzero((picture.boxes == candidates.boxes[position]).all(axis=1))
        vectors[position] = picture.vectors[matched[0] if len(matched) else 0]
    return vectors, tuple(undecided)


def shard_query(
    tenant: Tenant, query: SearchQuery, served: ServedIndex, resolved: Resolved, seen: tuple[int, ...]
) -> ShardQuery:
    """seen: what earlier pages showed."""
    return ShardQuery(
        tenant=tenant,
        index=served.index.id,
        space=served.space.id,
        query=resolved.vector,
        k=query.k,
        filter=canonical(query.filter),
        effort=query.effort,
        exact=query.exact,
        use_crops=query.use_crops,
        with_payload=True,
        with_signatures=query.near_duplicates is not NearDuplicates.KEEP,
        exclude_ids=(*resolved.stored_ids, *seen),
        explain=query.explain,
        visible_to=viewer().visible_to,
    )


def _below_threshold(candidates: Hits, query: SearchQuery) -> bool:
    threshold = query.score_threshold
    return threshold is not None and len(candidates) > 0 and float(candidates.scores[-1]) < threshold


def _by_score(query: SearchQuery, candidates: Hits, resolved: Resolved) -> tuple[RankedHit, ...]:
    """Without the re-ranker what the caller demanded still holds: score_threshold and phash_gate."""
    keep = np.ones(len(candidates), bool)
    if query.score_threshold is not None:
        keep &= candidates.scores >= query.score_threshold
    if query.phash_gate is not None and resolved.phash is not None:
        near = np.bitwise_count(candidates.phashes ^ np.uint64(resolved.phash)) <= query.phash_gate
        keep &= near & candidates.has_phash()
    return tuple(RankedHit(int(position)) for position in np.flatnonzero(keep)[: query.k])


def degraded(found: Found, *, behind: bool) -> tuple[Degraded, ...]:
    """What the answer left out. behind: whether writes that were acknowledged wait."""
    reasons = {reason for one in found.outcomes if one.answer is not None for reason in one.answer.degraded}
    if any(outcome.answer is None for outcome in found.outcomes):
        reasons.add(Degraded.SHARD_MISSING)
    if found.reranked is None:
        reasons.add(Degraded.RERANK_SKIPPED)
    if behind:
        reasons.add(Degraded.STALE_REPLICA)
    return tuple(sorted(reasons))

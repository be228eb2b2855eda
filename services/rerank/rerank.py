"""The order of re-ranking: gates, then near-duplicates, then diversity, then k. Pure."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.hits import Hits
from omma.identity import ImageId
from services.rerank.client import DropReason, Folded, NearDuplicates, RankedHit, Reranked, RerankQuery
from services.rerank.diversity import diverse_order
from services.rerank.near_duplicates import folded, hamming
from services.rerank.policies import Policy

Keep = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


def rerank(
    query: RerankQuery, policy: Policy, candidates: Hits, check: Callable[[], object] = lambda: None
) -> Reranked:
    """Rank the candidates under a policy; what was dropped is told with the first reason that applied.

    A candidate without payload, pHash or vector is never dropped for the lack of it, except by the pHash gate.
    check: called now and then; what it raises ends the work.
    Raises InvalidQuery for a k below 1, or a phash_gate without a query picture or not 0 … 64.
    """
    if query.k < 1:
        raise InvalidQuery("k must be at least 1.", field="k", limit=1)
    alive = np.arange(len(candidates))
    dropped: list[tuple[ImageId, DropReason]] = []
    for reason, keep in _gates(query, policy, candidates):
        dropped += _told(candidates, alive[~keep[alive]], reason)
        alive = alive[keep[alive]]
    check()
    alive, duplicates, why = _without_near_duplicates(query, policy, candidates, alive, check)
    check()
    if query.near_duplicates is NearDuplicates.DROP:
        followers = sorted(one for group in duplicates.values() for one in group)
        dropped += _told(candidates, np.array(followers, np.intp), DropReason.NEAR_DUPLICATE)
        duplicates = {}
    chosen = _diversified(query, policy, candidates, alive, check)
    id_of = candidates.ids.tolist() if duplicates else []
    stands_for = {leader: tuple(id_of[one] for one in group) for leader, group in duplicates.items()}
    return Reranked(
        ranked=tuple(
            RankedHit(position, distance, stands_for.get(position, ()))
            for position, distance in zip(chosen.tolist(), _distances(query, candidates, chosen), strict=True)
        ),
        policy=policy.id,
        dropped=tuple(dropped),
        folded=why,
    )


def _gates(query: RerankQuery, policy: Policy, candidates: Hits) -> Iterator[tuple[DropReason, Keep]]:
    if query.score_threshold is not None:
        yield DropReason.SCORE_THRESHOLD, candidates.scores >= np.float32(query.score_threshold)
    if query.phash_gate is not None:
        yield DropReason.PHASH_GATE, _inside_phash_gate(query, candidates)
    payloads = candidates.payloads or ()
    if policy.blocked_domains and payloads:
        blocked = [is_blocked(payload.source_url, policy.blocked_domains) for payload in payloads]
        yield DropReason.BLOCKED_SOURCE, ~np.array(blocked, bool)
    if policy.min_side_pixels and payloads:
        sides = np.array([min(payload.width, payload.height) for payload in payloads])
        yield DropReason.LOW_QUALITY, (sides == 0) | (sides >= policy.min_side_pixels)


def _inside_phash_gate(query: RerankQuery, candidates: Hits) -> Keep:
    if query.phash_gate is None or not 0 <= query.phash_gate <= 64:
        raise InvalidQuery("phash_gate is a Hamming distance, 0 to 64.", field="phash_gate", limit=64)
    if query.query_phash is None:
        raise InvalidQuery("phash_gate compares with a query picture, and there is none.", field="phash_gate")
    near = hamming(candidates.phashes, np.uint64(query.query_phash)) <= query.phash_gate
    keep: Keep = near & candidates.has_phash()
    return keep


def is_blocked(source_url: str, domains: frozenset[str]) -> bool:
    """Whether the url's host is one of the domains (lower case) or below one."""
    try:
        host = (urlsplit(source_url).hostname or "").rstrip(".")
    except ValueError:  # no url, so on no domain
        return False
    labels = host.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))


def _without_near_duplicates(
    query: RerankQuery, policy: Policy, candidates: Hits, alive: Positions, check: Callable[[], object]
) -> tuple[Positions, dict[int, list[int]], tuple[Folded, ...]]:
    """The leaders among the positions, best first; by leader the positions that it stands for; and why."""
    if query.near_duplicates is NearDuplicates.KEEP:
        return alive, {}, ()
    left = candidates if len(alive) == len(candidates) else candidates.take(alive)
    leader, pairs = folded(policy, left, query, check)
    leads = leader == np.arange(len(alive))
    position, id_of = alive.tolist(), left.ids.tolist()
    groups: dict[int, list[int]] = {}
    why = []
    followers = np.flatnonzero(~leads)
    for row, into in zip(followers.tolist(), leader[followers].tolist(), strict=True):
        groups.setdefault(position[into], []).append(position[row])
        pair = pairs[row]
        why.append(Folded(id_of[row], id_of[into], pair.rule, pair.distance))
    return alive[leads], groups, tuple(why)


def _diversified(
    query: RerankQuery, policy: Policy, candidates: Hits, alive: Positions, check: Callable[[], object]
) -> Positions:
    if policy.relevance == 1 or candidates.vectors is None:
        return alive[: query.k]
    scores, vectors = candidates.scores[alive], candidates.vectors[alive]
    return alive[diverse_order(scores, vectors, policy.relevance, query.k, check)]


def _distances(query: RerankQuery, candidates: Hits, positions: Positions) -> list[int | None]:
    """Hamming distance of the pHash to the query picture's; None where there is none of either."""
    if query.query_phash is None:
        return [None] * len(positions)
    distances = hamming(candidates.phashes[positions], np.uint64(query.query_phash)).tolist()
    return [
        distance if known else None
        for distance, known in zip(distances, candidates.has_phash()[positions].tolist(), strict=True)
    ]


def _told(candidates: Hits, positions: Positions, reason: DropReason) -> list[tuple[ImageId, DropReason]]:
    return [(ImageId(image_id), reason) for image_id in candidates.ids[positions].tolist()]

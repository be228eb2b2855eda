"""Which candidates are copies of one another: by their signatures; by pHash and vector for who has none, or asks so."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.copies import MERGED, SIGNATURE_RULE, Pair, Signatures, copies, grouped, readable
from omma.hits import Bools, Hits
from omma.identity import ImageId
from omma.vectors import Float16, Float32, UInt64
from services.rerank.client import RerankQuery
from services.rerank.policies import DuplicatesBy, Policy

PHASH_RULE: Final = "phash"

IdPair = tuple[ImageId, ImageId]

_ROWS_AT_ONCE: Final = 512
"""Bounds the table of distances: 512 rows against 4,096 candidates are 16 MiB."""


def hamming(a: UInt64, b: UInt64 | np.uint64) -> npt.NDArray[np.uint8]:
    """Bits that differ, 0 … 64, broadcasting."""
    bits: npt.NDArray[np.uint8] = np.bitwise_count(a ^ b)
    return bits


def leaders(
    phashes: UInt64, known: Bools, vectors: Float16 | Float32 | None, *, max_hamming: int, min_cosine: float
) -> npt.NDArray[np.intp]:
    """The position of each candidate's group leader: the best of its near-duplicates, itself where it leads.

    phashes: uint64[n], best candidate first. known: bool[n], which of them are one; who has none leads.
    vectors: [n, dim], L2-normalised; None: pHash decides alone.
    A candidate joins the best leader that it resembles within max_hamming and min_cosine; likeness to a follower does
    not count, so a chain of small edits does not join far ends. Pure.
    """
    count = len(phashes)
    leader = np.arange(count)
    free = known.copy()
    rows32 = None if vectors is None else vectors.astype(np.float32, copy=False)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        near = hamming(phashes[rows, None], phashes[None]) <= max_hamming
        close = np.triu(near, k=start + 1) & free
        for row in np.flatnonzero(close.any(axis=1)) + start:
            if not free[row]:  # it follows another, or has no pHash
                continue
            followers = np.flatnonzero(close[row - start] & free)
            if rows32 is not None:
                followers = followers[rows32[followers] @ rows32[row] >= min_cosine]
            leader[followers] = row
            free[followers] = False
    return leader


def in_doubt(policy: Policy, candidates: Hits) -> list[int]:
    """Rows of the pairs that are near by pHash where signatures do not decide: their vectors do. Pure."""
    doubtful: Bools = np.zeros(len(candidates), bool)
    by_phash = np.ones(len(candidates), bool)
    if policy.duplicates_by is DuplicatesBy.SIGNATURE:
        by_phash = ~_signed(candidates)
    if by_phash.any():
        for start, near, _ in _near_by_phash(candidates, by_phash, policy):
            doubtful[start : start + len(near)] |= near.any(axis=1)
            doubtful |= near.any(axis=0)
    return np.flatnonzero(doubtful).tolist()


def folded(
    policy: Policy,
    candidates: Hits,
    query: RerankQuery,
    check: Callable[[], object] = lambda: None,
) -> tuple[npt.NDArray[np.intp], dict[int, Pair]]:
    """The position of each candidate's group leader, itself where it leads, and by follower the pair that tells why.

    candidates: best first. query: what people said counts before the rule and the kept groups; where pHash alone tells
    copies, neither does. check: called now and then; what it raises ends the work. Pure.
    """
    most_bits = query.duplicate_bits
    if policy.duplicates_by is DuplicatesBy.PHASH:
        leader = leaders(
            candidates.phashes,
            candidates.has_phash(),
            candidates.vectors,
            max_hamming=min(policy.max_hamming, most_bits or policy.max_hamming),
            min_cosine=policy.min_cosine,
        )
        return leader, {
            row: Pair(int(leads), row, int(hamming(candidates.phashes[row], candidates.phashes[leads])), PHASH_RULE)
            for row, leads in enumerate(leader)
            if leads != row
        }
    signed = _signed(candidates)
    kept, pairs = _twins(candidates, signed, {id for pair in (*query.together, *query.apart) for id in pair}, policy)
    left = candidates if len(kept) == len(candidates) else candidates.take(kept)
    pairs += [
        Pair(int(kept[pair.first]), int(kept[pair.second]), pair.distance, pair.rule)
        for pair in _compared(left, signed[kept], policy, check)
        if not most_bits or pair.distance <= most_bits
    ]
    if not (query.together or query.apart or query.grouped):
        return grouped(candidates.ids, pairs)
    row_of = {id: row for row, id in enumerate(candidates.ids.tolist())}

    def rows(said: Sequence[IdPair]) -> list[tuple[int, int]]:
        return [(row_of[one], row_of[other]) for one, other in said if one in row_of and other in row_of]

    pairs += [Pair(min(ends), max(ends), 0, MERGED) for ends in rows(query.together)]
    pairs += [
        Pair(min(row_of[one], row_of[other]), max(row_of[one], row_of[other]), distance, rule)
        for one, other, rule, distance in query.grouped
        if one in row_of and other in row_of and (not most_bits or distance <= most_bits)
    ]
    return grouped(candidates.ids, pairs, rows(query.apart))


def _twins(
    candidates: Hits, is_signed: Bools, spoken_of: Collection[int], policy: Policy
) -> tuple[npt.NDArray[np.intp], list[Pair]]:
    """The rows that are compared, and for each other row the pair with the one of them whose signature, or without one
    whose pHash and vector, is the same.

    Equal ones are copies by either rule; compared each with each, thousands of copies of one picture would be millions
    of pairs. spoken_of: ids that stay, as people's verdicts name them.
    """
    signed = is_signed.tolist()
    keys = _keys(candidates, signed, policy)
    if len(set(keys)) == len(keys):
        return np.arange(len(keys)), []
    first_with: dict[object, int] = {}
    kept: list[int] = []
    pairs: list[Pair] = []
    for row, (id, key) in enumerate(zip(candidates.ids.tolist(), keys, strict=True)):
        first = row if key is None or id in spoken_of else first_with.setdefault(key, row)
        if first == row:
            kept.append(row)
        else:
            pairs.append(Pair(first, row, 0, SIGNATURE_RULE if signed[row] else PHASH_RULE))
    return np.array(kept, np.intp), pairs


def _keys(candidates: Hits, signed: Sequence[bool], policy: Policy) -> list[object]:
    """What each row has in common with its equals; None where nothing tells."""
    phashes: list[int | None] = candidates.phashes.tolist()
    known, vectors = candidates.has_phash(), candidates.vectors
    if not known.all():
        phashes = [phash if is_known else None for phash, is_known in zip(phashes, known.tolist(), strict=True)]
    # The pHash too, which tells who has a signature from those who have none.
    if all(signed):
        return list(zip(candidates.signatures or (), phashes, strict=True))
    like_itself = [True] * len(phashes)
    if vectors is not None:
        like_itself = (np.square(vectors, dtype=np.float32).sum(axis=1) >= policy.min_cosine).tolist()
    signatures = candidates.signatures or (b"",) * len(phashes)

    def key_of(row: int) -> object:
        if signed[row]:
            return signatures[row], phashes[row]
        if phashes[row] is None or not like_itself[row]:
            return None
        return phashes[row], b"" if vectors is None else vectors[row].tobytes()

    return [key_of(row) for row in range(len(phashes))]


def _signed(candidates: Hits) -> Bools:
    """bool[n]: who has a signature that is compared."""
    signatures = candidates.signatures
    if signatures is None or not any(signatures):
        return np.zeros(len(candidates), bool)
    return np.array([*map(readable, signatures)], bool)


def _compared(candidates: Hits, signed: Bools, policy: Policy, check: Callable[[], object]) -> list[Pair]:
    """Pairs of copies among all, by their rows."""
    unsigned = ~signed
    pairs = [] if unsigned.all() else copies(Signatures.of(candidates.signatures or ()), check)
    if unsigned.any():
        pairs += _by_phash(candidates, unsigned, policy, check)
    return pairs


def _by_phash(candidates: Hits, unsigned: Bools, policy: Policy, check: Callable[[], object]) -> list[Pair]:
    """Pairs of which one or both have no signature to compare."""
    vectors = None if candidates.vectors is None else candidates.vectors.astype(np.float32, copy=False)
    pairs = []
    for start, near, distances in _near_by_phash(candidates, unsigned, policy):
        check()
        if vectors is not None:
            # Row by row: a product of matrices would wake BLAS's threads, which then spin for longer than it takes.
            for row in np.flatnonzero(near.any(axis=1)).tolist():
                others = np.flatnonzero(near[row])
                near[row, others] = vectors[others] @ vectors[start + row] >= policy.min_cosine
        for row, at in zip(*(found.tolist() for found in np.nonzero(near)), strict=True):
            pairs.append(Pair(start + row, at, int(distances[row, at]), PHASH_RULE))
    return pairs


def _near_by_phash(
    candidates: Hits, unsigned: Bools, policy: Policy
) -> Iterator[tuple[int, Bools, npt.NDArray[np.uint8]]]:
    """Some rows at a time, where any is near: the first, which later rows each is near to where one of the two is
    unsigned, and all the distances: bool and uint8[rows, n].
    """
    known, phashes = candidates.has_phash(), candidates.phashes
    for start in range(0, len(phashes), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        distances = hamming(phashes[rows, None], phashes[None])
        near = distances <= policy.max_hamming
        if np.count_nonzero(near) == len(near):  # each to itself
            continue
        near &= known[rows, None] & known & (unsigned[rows, None] | unsigned)
        yield start, np.triu(near, k=start + 1), distances

"""What a shard found, and how the answers of several shards become one list."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.vectors import Float16, Float32, Int64, UInt64

Int32Boxes = npt.NDArray[np.int32]
"""int32[n, 4]: left, top, right, bottom in pixels of the upright picture, right and bottom exclusive."""


class Degraded(StrEnum):
    """The closed list of what a search may have left out."""

    SHARD_MISSING = "shard_missing"
    RERANK_SKIPPED = "rerank_skipped"
    RECEIPT_PENDING = "receipt_pending"
    RESCORE_CUT = "rescore_cut"
    STALE_REPLICA = "stale_replica"


@dataclass(frozen=True, slots=True)
class Payload:
    """What is known of a picture beside its vectors; travels with hits so that a search reads no database."""

    uri: str = ""
    source_url: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    created_at_ms: int = 0
    width: int = 0
    height: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """Pictures best first, as parallel columns of length n; equal scores order by id.

    ids int64, scores float32 (cosine), versions int64, phashes uint64, boxes int32[n, 4] of the region that matched;
    payloads and vectors (float16[n, dim]) only when they were asked for.
    """

    ids: Int64
    scores: Float32
    versions: Int64
    phashes: UInt64
    boxes: Int32Boxes
    payloads: tuple[Payload, ...] | None = None
    vectors: Float16 | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[np.intp]) -> "Hits":
        """The hits at these positions, in that order."""
        return Hits(
            ids=self.ids[rows],
            scores=self.scores[rows],
            versions=self.versions[rows],
            phashes=self.phashes[rows],
            boxes=self.boxes[rows],
            payloads=None if self.payloads is None else tuple(self.payloads[row] for row in rows),
            vectors=None if self.vectors is None else self.vectors[rows],
        )


@dataclass(frozen=True, slots=True)
class ShardHits:
    """One shard's answer: its hits, stamped, with what it rests on.

    live: live vectors in the shard. stage_us: microseconds by stage, filled when explain was asked for. applied: sum
    of the next offsets of its buckets when the search began; of a shard's replicas the one with the lower is behind.
    """

    hits: Hits
    index: str
    space: str
    live: int
    degraded: frozenset[Degraded] = frozenset()
    lists_probed: int = 0
    candidates: int = 0
    stage_us: dict[str, int] = field(default_factory=dict)
    applied: int = 0


def no_hits(*, dim: int | None = None, with_payload: bool = False) -> Hits:
    """Hits of length 0; dim: with vectors of that dimension."""
    return Hits(
        ids=np.empty(0, np.int64),
        scores=np.empty(0, np.float32),
        versions=np.empty(0, np.int64),
        phashes=np.empty(0, np.uint64),
        boxes=np.empty((0, 4), np.int32),
        payloads=() if with_payload else None,
        vectors=None if dim is None else np.empty((0, dim), np.float16),
    )


def merge(parts: Sequence[Hits], k: int) -> Hits:
    """Rank hits from several shards as one list of at most k; equal scores order by id, so replicas agree.

    A picture that two parts hold (a reshard under way) counts once, with its higher version. Optional columns are
    kept when every part has them. Raises InvalidQuery, field `k`, if k < 1. Pure.
    """
    if k < 1:
        raise InvalidQuery("k must be at least 1.", field="k", limit=1)
    if not any(len(part) for part in parts):
        return parts[0] if parts else no_hits()
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0] if len(parts[0]) <= k else parts[0].take(np.arange(k))
    every = _concatenate(parts)
    order = np.lexsort((-every.versions, every.ids, -every.scores))
    newest = np.lexsort((-every.versions, every.ids))
    first = np.ones(len(newest), bool)
    first[1:] = every.ids[newest][1:] != every.ids[newest][:-1]
    keep = np.zeros(len(newest), bool)
    keep[newest[first]] = True
    return every.take(order[keep[order]][:k])


def _concatenate(parts: Sequence[Hits]) -> Hits:
    payloads = [part.payloads for part in parts]
    vectors = [part.vectors for part in parts]
    return Hits(
        ids=np.concatenate([part.ids for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        versions=np.concatenate([part.versions for part in parts]),
        phashes=np.concatenate([part.phashes for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        payloads=None if any(p is None for p in payloads) else tuple(one for p in payloads if p for one in p),
        vectors=None if any(v is None for v in vectors) else np.concatenate([v for v in vectors if v is not None]),
    )

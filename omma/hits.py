"""What a shard found, and how the answers of several shards become one list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.identity import ImageId, Tenant, Version
from omma.quality import Quality
from omma.vectors import Float16, Float32, Int64, UInt64

Int32Boxes = npt.NDArray[np.int32]
"""int32[n, 4]: left, top, right, bottom in pixels of the upright picture, right and bottom exclusive."""


Bools = npt.NDArray[np.bool_]


class Degraded(StrEnum):
    """The closed list of what a search may have left out."""

    SHARD_MISSING = "shard_missing"
    RERANK_SKIPPED = "rerank_skipped"
    RECEIPT_PENDING = "receipt_pending"
    RESCORE_CUT = "rescore_cut"
    STALE_REPLICA = "stale_replica"


@dataclass(slots=True)
class Payload:
    """What is known of a picture beside its vectors; travels with hits so that a search reads no database.

    Nobody changes one; frozen, it would take five times as long to make, fifty times a search.

    key, bytes, mtime_ns, quality: of the row, so that a catalog that lost it can make it again. key: "" where it is the
    one that a picture has without a key of its own (blobs.originals.plain_key), as most.
    """

    uri: str = ""
    source_url: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    created_at_ms: int = 0
    width: int = 0
    height: int = 0
    sha256: str = ""
    key: str = ""
    bytes: int = 0
    mtime_ns: int | None = None
    private: bool = False
    quality: Quality | None = None

    @property
    def is_given(self) -> bool:
        """There is no picture, a caller brought the vector alone: every picture that was embedded has a size."""
        return not self.width


class StoredPayloads(Sequence[Payload]):
    """Payloads in the form that they are stored and sent in; each becomes a Payload when it is first looked at.

    A search finds hundreds and shows fifty: 4 us for each of the others would be most of what a shard costs its caller.
    """

    __slots__ = ("_decode", "_known", "stored")

    def __init__(self, stored: Sequence[Any], decode: Callable[[Any], Payload]) -> None:
        """decode: makes a Payload of one of `stored`."""
        self.stored = stored
        self._decode = decode
        self._known: dict[int, Payload] = {}

    def __len__(self) -> int:
        return len(self.stored)

    @overload
    def __getitem__(self, at: int) -> Payload: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Payload, ...]: ...
    def __getitem__(self, at: int | slice) -> Payload | tuple[Payload, ...]:
        if isinstance(at, slice):
            return tuple(self[one] for one in range(len(self))[at])
        known = self._known.get(at)
        if known is None:
            known = self._known[at] = self._decode(self.stored[at])
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def pick(self, rows: Sequence[int], others: "Sequence[StoredPayloads]" = ()) -> "StoredPayloads":
        """The ones at these positions, counted through these and then the others; not looked at."""
        stored = [*self.stored, *(one for other in others for one in other.stored)] if others else self.stored
        return StoredPayloads([stored[row] for row in rows], self._decode)


@dataclass(frozen=True, slots=True)
class Hits:
    """Pictures best first, as parallel columns of length n; equal scores order by id.

    ids int64, scores float32 (cosine), versions int64, phashes uint64, boxes int32[n, 4] of the region that matched;
    payloads, vectors (float16[n, dim]) and signatures (see VectorRecord) only when they were asked for. phash_known:
    bool[n]; None: who answered does not tell, see has_phash.
    """

    ids: Int64
    scores: Float32
    versions: Int64
    phashes: UInt64
    boxes: Int32Boxes
    payloads: Sequence[Payload] | None = None
    vectors: Float16 | None = None
    phash_known: Bools | None = None
    signatures: Sequence[bytes] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def has_phash(self) -> Bools:
        """bool[n]: which pHashes are known. A shard of an earlier version gives 0 for none, and for black pictures."""
        return self.phashes != 0 if self.phash_known is None else self.phash_known

    def take(self, rows: npt.NDArray[np.intp]) -> "Hits":
        """The hits at these positions, in that order."""
        return Hits(
            ids=self.ids[rows],
            scores=self.scores[rows],
            versions=self.versions[rows],
            phashes=self.phashes[rows],
            boxes=self.boxes[rows],
            payloads=None if self.payloads is None else _picked([self.payloads], rows.tolist()),
            vectors=None if self.vectors is None else self.vectors[rows],
            phash_known=None if self.phash_known is None else self.phash_known[rows],
            signatures=None if self.signatures is None else tuple(self.signatures[row] for row in rows.tolist()),
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


@dataclass(frozen=True, slots=True)
class FetchedPicture:
    """vectors: float16[regions, dim], the whole picture first; boxes: int32[regions, 4]. phash: None for none.

    segment: name of the sealed segment that holds it, empty while it lies in a head.
    """

    image_id: ImageId
    version: Version
    tenant: Tenant
    vectors: Float16
    boxes: Int32Boxes
    phash: int | None
    payload: Payload
    segment: str = ""
    signature: bytes = b""


def no_hits(*, dim: int | None = None, with_payload: bool = False, with_signatures: bool = False) -> Hits:
    """Hits of length 0; dim: with vectors of that dimension."""
    return Hits(
        ids=np.empty(0, np.int64),
        scores=np.empty(0, np.float32),
        versions=np.empty(0, np.int64),
        phashes=np.empty(0, np.uint64),
        boxes=np.empty((0, 4), np.int32),
        payloads=() if with_payload else None,
        vectors=None if dim is None else np.empty((0, dim), np.float16),
        phash_known=np.empty(0, np.bool_),
        signatures=() if with_signatures else None,
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
    ids = np.concatenate([part.ids for part in parts])
    order = np.lexsort((ids, -np.concatenate([part.scores for part in parts])))
    by_id = np.sort(ids)
    if (by_id[1:] == by_id[:-1]).any():
        order = order[_newest(ids, np.concatenate([part.versions for part in parts]))[order]]
    return picked(parts, order[:k])


def _newest(ids: Int64, versions: Int64) -> Bools:
    """bool[n]: of those of one id the one with the highest version, the first of equals."""
    order = np.lexsort((-versions, ids))
    first = np.ones(len(order), bool)
    first[1:] = ids[order][1:] != ids[order][:-1]
    newest = np.zeros(len(order), bool)
    newest[order[first]] = True
    return newest


def picked(parts: Sequence[Hits], rows: npt.NDArray[np.intp]) -> Hits:
    """The hits at these positions, in that order, counted through all parts one after the other, of which there is one.

    Optional columns are kept when every part has them. Pure.
    """
    payloads = [part.payloads for part in parts if part.payloads is not None]
    return Hits(
        ids=np.concatenate([part.ids for part in parts])[rows],
        scores=np.concatenate([part.scores for part in parts])[rows],
        versions=np.concatenate([part.versions for part in parts])[rows],
        phashes=np.concatenate([part.phashes for part in parts])[rows],
        boxes=np.concatenate([part.boxes for part in parts])[rows],
        payloads=_picked(payloads, rows.tolist()) if len(payloads) == len(parts) else None,
        vectors=_picked_vectors(parts, rows),
        phash_known=np.concatenate([part.has_phash() for part in parts])[rows],
        signatures=_picked_signatures(parts, rows),
    )


def _picked(parts: Sequence[Sequence[Payload]], rows: Sequence[int]) -> Sequence[Payload]:
    """The payloads at these positions of the parts, one after the other."""
    stored = [part for part in parts if isinstance(part, StoredPayloads)]
    if len(stored) == len(parts):
        return stored[0].pick(rows, stored[1:])
    every = [one for part in parts for one in part]
    return tuple(every[row] for row in rows)


def _picked_signatures(parts: Sequence[Hits], rows: npt.NDArray[np.intp]) -> tuple[bytes, ...] | None:
    if any(part.signatures is None for part in parts):
        return None
    every = [one for part in parts for one in part.signatures or ()]
    return tuple(every[row] for row in rows.tolist())


def _picked_vectors(parts: Sequence[Hits], rows: npt.NDArray[np.intp]) -> Float16 | None:
    """As _picked; only what is picked is copied: of eight shards' vectors one in eight."""
    if any(part.vectors is None for part in parts):
        return None
    vectors = [part.vectors for part in parts if part.vectors is not None]
    ends = np.cumsum([len(part) for part in vectors])
    picked = np.empty((len(rows), vectors[0].shape[1]), np.float16)
    of = np.searchsorted(ends, rows, side="right")
    for number, part in enumerate(vectors):
        mine = of == number
        picked[mine] = part[rows[mine] - (ends[number] - len(part))]
    return picked

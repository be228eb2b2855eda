"""One replica of one shard, in process or over gRPC: what is asked of it and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from omma.drift import Drift
from omma.hits import FetchedPicture, ShardHits
from omma.identity import ImageId, Receipt, Tenant
from omma.rpc.deadline import Deadline
from omma.vectors import Float32, Int64, UInt64

MAX_ERASED: Final = 10_000
"""Pictures of one order."""
MAX_TOKEN_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class ShardQuery:
    """query: float32[dim], normalised. filter: canonical JSON, empty for none. effort: 1 … 10, 0: the index's own.

    visible_to: private pictures count only where this is their owner; None: all do.
    """

    tenant: Tenant
    index: str
    space: str
    query: Float32
    k: int
    filter: str = ""
    effort: int = 0
    exact: bool = False
    use_crops: bool = False
    with_payload: bool = False
    with_vectors: bool = False
    exclude_ids: tuple[int, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    explain: bool = False
    with_signatures: bool = False
    visible_to: str | None = None


@dataclass(frozen=True, slots=True)
class ShardStats:
    """live: vectors; pictures: live pictures; next_offsets: by bucket, in order; lag: records not applied yet.

    ready: loaded and getting on. stale: its searches say stale_replica. drift: None without a codebook, or before it
    was measured.
    """

    index: str
    space: str
    shard: int
    shards: int
    live: int
    pictures: int
    dead_rows: int
    head_rows: int
    segments: int
    codebook: str
    next_offsets: tuple[int, ...]
    lag: int
    ready: bool
    stale: bool = False
    drift: Drift | None = None

    @property
    def applied(self) -> int:
        """As in ShardHits."""
        return sum(self.next_offsets)


@dataclass(frozen=True, slots=True)
class BucketDigests:
    """Of the buckets that the shard owns: pictures int64[n], sums uint64[n] as in omma.digests, next_offsets int64[n].

    Everything before a bucket's next offset is in its numbers; what came after may be.
    """

    buckets: range
    pictures: Int64
    sums: UInt64
    next_offsets: Int64


@dataclass(frozen=True, slots=True)
class BucketPage:
    """Live pictures of one bucket, by id: ids, versions int64[n]. A picture that is there twice comes twice.

    more: others follow after the last id. next_offset: as in BucketDigests.
    """

    ids: Int64
    versions: Int64
    more: bool
    next_offset: int


class ShardClient(Protocol):
    """One replica of one shard."""

    @property
    def connected(self) -> bool:
        """Whether a call would reach it at once. Asking lets a lost connection be made again."""

    @property
    def state(self) -> int | None:
        """Another number after each record that it applied; None where that cannot be told without a call, and while
        its answers say stale_replica.
        """

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        """Raises InvalidQuery, WrongSpace, WrongState (another index), ReplicaDown (not loaded), Overloaded,
        OutOfTime.
        """

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        """Absent ids are left out. tenant None: any tenant's, for the indexer."""

    async def stats(self, deadline: Deadline) -> ShardStats: ...

    async def digests(self, deadline: Deadline) -> BucketDigests:
        """What it holds, bucket by bucket, of every tenant. Raises ReplicaDown, OutOfTime."""

    async def pictures(self, bucket: int, after: int, deadline: Deadline) -> BucketPage:
        """The live pictures of a bucket with ids above `after`. Raises InvalidQuery, ReplicaDown, OutOfTime."""

    async def erase(self, token: str, ids: Sequence[ImageId], deadline: Deadline) -> bool:
        """Let erased pictures leave the replica's files, and the snapshots if it writes them; True when they have.

        token: of this order, at most MAX_TOKEN_CHARACTERS; ask with the same one until it is done. ids: at most
        MAX_ERASED; everything that the log has of them is their deletes. Raises InvalidQuery, Overloaded, ReplicaDown,
        OutOfTime.
        """

    async def close(self) -> None: ...

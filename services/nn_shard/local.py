"""A replica in this process, as a ShardClient: what every search of a shard goes through."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import lru_cache

import numpy as np

from omma.digests import Digests, buckets_of
from omma.drift import Drift
from omma.errors import InvalidQuery, ReplicaDown, WrongState
from omma.filters import Filter, parse_filter
from omma.hits import Degraded, ShardHits
from omma.identity import ImageId, Tenant
from omma.index import IndexId
from omma.rpc.deadline import Deadline
from omma.space import SpaceId, require_same_space
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_BATCH_QUERIES, SHARD_SEARCH_SECONDS
from omma.vectors import Float32
from services.nn_shard.batcher import Batcher
from services.nn_shard.client import (
    MAX_ERASED,
    MAX_TOKEN_CHARACTERS,
    BucketDigests,
    BucketPage,
    FetchedPicture,
    ShardQuery,
    ShardStats,
)
from services.nn_shard.engine import Engine, SearchOptions
from services.nn_shard.replica import Replica
from services.nn_shard.settings import ShardSettings

_LISTED_PICTURES = 100_000
"""In one page: 1.6 MB on the wire."""

_NOT_UNIT = 1e-2
"""How far from 1 a query's squared length may be: float16 vectors are off by 1e-3."""


class LocalShard:
    """Searches are batched; each waits for its receipts first. Belongs to one event loop."""

    def __init__(
        self,
        replica: Replica,
        *,
        shard: int,
        shards: int,
        executor: Executor,
        settings: ShardSettings,
        lag: Callable[[], int],
        drift: Callable[[], Drift | None] = lambda: None,
        erasing: Callable[[str, Sequence[ImageId]], bool],
    ) -> None:
        """executor: settings.search_threads threads. lag: records behind, drift: of the codebook, as last measured.
        erasing: Erasing.done.
        """
        self._replica = replica
        self._shard = shard
        self._shards = shards
        self._executor = executor
        self._lag = lag
        self._drift = drift
        self._erasing = erasing
        self._batcher = Batcher(
            self._run,
            executor,
            workers=settings.search_threads,
            max_batch=settings.max_batch,
            max_waiting=settings.max_waiting,
            inline_seconds=settings.inline_seconds,
        )

    @property
    def index(self) -> IndexId:
        return self._replica.index

    @property
    def space(self) -> SpaceId:
        return self._replica.space.id

    @property
    def connected(self) -> bool:
        """It is in this process."""
        return True

    @property
    def state(self) -> int | None:
        """Of the records that are applied; None while it loads or is stale."""
        replica = self._replica
        return None if replica.stale or not replica.ready else replica.applied

    @property
    def waiting(self) -> int:
        """Queries that wait for the engine."""
        return self._batcher.waiting

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        replica = self._replica
        if query.index != replica.index:
            raise WrongState(f"This is a shard of {replica.index}, not of {query.index!r}.", field="index")
        require_same_space(replica.space.id, query.space)
        self._ready()
        _require_unit(query.query, replica.space.dim)
        arrived = not query.receipts or await replica.receipts.wait(query.tenant, query.receipts, deadline)
        options = _options(
            tenant=query.tenant,
            # Without the excluded ones k are left, and queries that exclude different pictures share a batch.
            k=query.k + len(query.exclude_ids) if query.k > 0 else query.k,
            filter=query.filter,
            # Where nothing is private, what was waited for included, nobody sees anything else than others do: they
            # share a batch.
            visible_to=query.visible_to if replica.loaded().some_private else "",
            effort=query.effort,
            exact=query.exact,
            use_crops=query.use_crops,
            with_payload=query.with_payload,
            with_vectors=query.with_vectors,
            explain=query.explain,
            with_signatures=query.with_signatures,
        )
        applied = replica.applied
        answer = await self._batcher.submit(options, query.query, deadline)
        if query.exclude_ids:
            answer = _without(answer, query.exclude_ids, query.k)
        return replace(answer, applied=applied, degraded=answer.degraded | self._late(arrived))

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        deadline.require()
        return await run_in(self._executor, self._ready().fetch, tenant, ids)

    async def stats(self, deadline: Deadline) -> ShardStats:
        deadline.require()
        engine = self._replica.loaded()
        counts = engine.counts()
        return ShardStats(
            index=self._replica.index,
            space=self._replica.space.id,
            shard=self._shard,
            shards=self._shards,
            live=counts.live,
            pictures=counts.pictures,
            dead_rows=counts.dead_rows,
            head_rows=counts.head_rows,
            segments=counts.segments,
            codebook=engine.codebook.id if engine.codebook else "",
            next_offsets=tuple(offset for _, offset in sorted(self._replica.next_offsets.items())),
            lag=self._lag(),
            ready=self._replica.healthy,
            stale=self._replica.stale,
            drift=self._drift(),
        )

    async def digests(self, deadline: Deadline) -> BucketDigests:
        deadline.require()
        engine, offsets = self._ready(), self._replica.next_offsets
        ids, versions = await run_in(self._executor, engine.pictures)
        digests = Digests.empty(self._replica.space.buckets)
        digests.add(ids, versions)
        owned = range(min(offsets), max(offsets) + 1)
        return BucketDigests(
            buckets=owned,
            pictures=digests.pictures[owned.start : owned.stop],
            sums=digests.sums[owned.start : owned.stop],
            next_offsets=np.array([offsets[bucket] for bucket in owned], np.int64),
        )

    async def pictures(self, bucket: int, after: int, deadline: Deadline) -> BucketPage:
        deadline.require()
        engine, next_offset = self._ready(), self._replica.next_offsets.get(bucket)
        if next_offset is None:
            raise InvalidQuery(f"This shard of {self.index} does not own bucket {bucket}.", field="bucket")
        return await run_in(self._executor, self._page, engine, bucket, after, next_offset)

    async def erase(self, token: str, ids: Sequence[ImageId], deadline: Deadline) -> bool:
        deadline.require()
        if not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            raise InvalidQuery(f"A token has 1 to {MAX_TOKEN_CHARACTERS} characters.", field="token")
        if len(ids) > MAX_ERASED:
            raise InvalidQuery(
                f"At most {MAX_ERASED} pictures are erased at a time.", field="image_ids", limit=MAX_ERASED
            )
        self._ready()
        return self._erasing(token, ids)

    async def close(self) -> None:
        """Nothing: the shard's owner stops it."""

    def _ready(self) -> Engine:
        if not self._replica.ready:
            raise ReplicaDown(f"This replica of {self.index} is still loading.")
        return self._replica.loaded()

    def _run(self, options: SearchOptions, queries: Sequence[Float32], deadline: Deadline) -> list[ShardHits]:
        SHARD_BATCH_QUERIES.observe(len(queries))
        with SHARD_SEARCH_SECONDS.time():
            return self._ready().search(np.stack(queries), options, deadline.at_seconds)

    def _page(self, engine: Engine, bucket: int, after: int, next_offset: int) -> BucketPage:
        ids, versions = engine.pictures()
        wanted = np.flatnonzero((ids > after) & (buckets_of(ids, self._replica.space.buckets) == bucket))
        wanted = wanted[np.argsort(ids[wanted], kind="stable")]
        ids, versions = ids[wanted], versions[wanted]
        end = len(ids)
        if end > _LISTED_PICTURES:
            # A page ends with the last copy of its last picture.
            end = int(np.searchsorted(ids, ids[_LISTED_PICTURES - 1], side="right"))
        return BucketPage(ids[:end], versions[:end], end < len(ids), next_offset)

    def _late(self, arrived: bool) -> frozenset[Degraded]:
        pending = frozenset() if arrived else frozenset({Degraded.RECEIPT_PENDING})
        return pending | {Degraded.STALE_REPLICA} if self._replica.stale else pending


@lru_cache(maxsize=1024)
def _parsed(filter: str) -> Filter | None:
    return parse_filter(filter)


@lru_cache(maxsize=1024)
def _options(
    *,
    tenant: Tenant,
    k: int,
    filter: str,
    visible_to: str | None,
    effort: int,
    exact: bool,
    use_crops: bool,
    with_payload: bool,
    with_vectors: bool,
    explain: bool,
    with_signatures: bool,
) -> SearchOptions:
    return SearchOptions(
        tenant=tenant,
        k=k,
        filter=_parsed(filter),
        visible_to=visible_to,
        effort=effort,
        exact=exact,
        use_crops=use_crops,
        with_payload=with_payload,
        with_vectors=with_vectors,
        explain=explain,
        with_signatures=with_signatures,
    )


def _require_unit(query: Float32, dim: int) -> None:
    """Before it is batched: one query's fault must not be the others' answer."""
    if query.shape != (dim,):
        raise InvalidQuery(f"The vector has {query.shape[-1]} dimensions and must have {dim}.", field="vector")
    squared = float(np.dot(query, query))
    if not abs(squared - 1.0) < _NOT_UNIT:
        raise InvalidQuery("A query vector must be L2-normalised.", field="vector")


def _without(answer: ShardHits, excluded: Sequence[int], k: int) -> ShardHits:
    rows = np.flatnonzero(~np.isin(answer.hits.ids, excluded))[:k]
    return replace(answer, hits=answer.hits.take(rows))

"""A search core over shards that hold their pictures in memory and compare them one by one."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from omma.blobs.originals import Originals
from omma.buckets import shard_of
from omma.hits import Hits, Payload, ShardHits, no_hits
from omma.identity import ImageId, Tenant, Version
from omma.index import Index, IndexId, IndexState
from omma.rpc.deadline import Deadline
from omma.space import Space, SpaceId
from omma.vectors import Float32, normalise
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.gateway.search.core import SearchCore
from services.gateway.search.query import SearchQuery
from services.gateway.search.urls import PictureFetcher
from services.nn_shard.client import FetchedPicture, ShardQuery, ShardStats
from services.rerank.client import NearDuplicates, Reranked, RerankQuery
from services.rerank.local import LocalReranker
from services.rerank.policies import Policies
from services.topology.indexes import ServedIndex, ServedIndexes

DIM = 16
SPACE = Space(SpaceId("m-1-00000000"), "m@1", "0" * 64, DIM, buckets=256)
ANN = Tenant("ann")


def vector_of(seed: int) -> Float32:
    return normalise(np.random.default_rng(seed).normal(size=DIM))


class BruteForceShard:
    """A ShardClient over a dict. fault: raised instead of an answer; fetch_fault: of `fetch` alone."""

    connected = True
    state: int | None = None

    def __init__(self, index: str = "m-1-00000000.1") -> None:
        self.index = index
        self.pictures: dict[int, FetchedPicture] = {}
        self.fault: BaseException | None = None
        self.fetch_fault: BaseException | None = None
        self.hangs = False
        self.reached = asyncio.Event()
        self.asked: list[ShardQuery] = []

    def add(self, image_id: int, vector: Float32, *, tenant: Tenant = ANN, phash: int | None = None) -> None:
        self.pictures[image_id] = FetchedPicture(
            ImageId(image_id),
            Version(1),
            tenant,
            vector[None].astype(np.float16),
            np.array([[0, 0, 8, 8]], np.int32),
            image_id * 0x9E3779B97F4A7C15 % 2**64 if phash is None else phash,
            Payload(uri=f"omma:{image_id}", sha256=f"{image_id:064x}", width=8, height=8),
        )

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        self.asked.append(query)
        self.reached.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        mine = [p for p in self.pictures.values() if p.tenant == query.tenant and p.image_id not in query.exclude_ids]
        if not mine:
            return ShardHits(
                no_hits(dim=DIM if query.with_vectors else None, with_payload=True), self.index, SPACE.id, live=0
            )
        ids = np.array([p.image_id for p in mine], np.int64)
        vectors = np.concatenate([p.vectors[:1] for p in mine])
        scores = vectors.astype(np.float32) @ query.query
        order = np.lexsort((ids, -scores))[: query.k]
        hits = Hits(
            ids=ids,
            scores=scores.astype(np.float32),
            versions=np.ones(len(ids), np.int64),
            phashes=np.array([p.phash for p in mine], np.uint64),
            phash_known=np.ones(len(mine), np.bool_),
            boxes=np.concatenate([p.boxes for p in mine]),
            payloads=tuple(p.payload for p in mine),
            vectors=vectors if query.with_vectors else None,
        )
        return ShardHits(hits.take(order), self.index, SPACE.id, live=len(self.pictures))

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        fault = self.fault or self.fetch_fault
        if fault is not None:
            raise fault
        found = [self.pictures[id] for id in ids if id in self.pictures]
        return [one for one in found if tenant is None or one.tenant == tenant]

    async def stats(self, deadline: Deadline) -> ShardStats:
        raise NotImplementedError

    async def close(self) -> None: ...


class SeedEmbedder:
    """A picture's content and a text are the decimal seed of their vector."""

    space = SPACE

    def __init__(self, has_text_tower: bool = True) -> None:
        self.has_text_tower = has_text_tower
        self.windows = 0
        self.calls: list[Sequence[ImageItem | TextItem]] = []

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        self.calls.append(items)
        return [self._one(item) for item in items]

    def _one(self, item: ImageItem | TextItem) -> EmbeddedItem:
        boxes = np.array([[0, 0, 8, 8]], np.int32)
        if isinstance(item, TextItem):
            return EmbeddedItem(vector_of(int(item.text))[None], boxes)
        return EmbeddedItem(vector_of(int(item.content))[None], boxes, phash=7, width=8, height=8)

    async def close(self) -> None: ...


class BrokenReranker(LocalReranker):
    """It fails when it is asked, not before."""

    def __init__(self) -> None:
        super().__init__(Policies())

    async def rerank(self, query: RerankQuery, candidates: Hits, deadline: Deadline) -> Reranked:
        raise ConnectionError("gone")

    async def close(self) -> None: ...


class World:
    """Two shards with forty pictures of Ann's, vector_of(id) each."""

    def __init__(self, originals: Originals, **options: Any) -> None:
        self.shards = [BruteForceShard(), BruteForceShard()]
        for image_id in range(1, 41):
            self.owner(image_id).add(image_id, vector_of(image_id))
        self.embedder = SeedEmbedder()
        index = Index(IndexId("m-1-00000000.1"), SPACE.id, "Flat", 2, IndexState.LIVE)
        building = Index(IndexId("m-1-00000000.2"), SPACE.id, "Flat", 2, IndexState.BUILDING)
        replicas = tuple((shard,) for shard in self.shards)
        self.indexes = ServedIndexes(ServedIndex(one, SPACE, replicas, self.embedder) for one in (index, building))
        self.core = SearchCore(
            self.indexes,
            options.pop("reranker", LocalReranker(Policies())),
            originals,
            PictureFetcher(max_bytes=10, timeout_seconds=1),
            **options,
        )

    def owner(self, image_id: int) -> BruteForceShard:
        return self.shards[shard_of(image_id, 2, SPACE.buckets)]

    async def ids(self, *sought: Any, **options: Any) -> list[int]:
        options.setdefault("near_duplicates", NearDuplicates.KEEP)
        answer = await self.core.search(ANN, SearchQuery(sought, **options))
        return [hit.id for hit in answer.hits]


def best(query: Float32, ids: Sequence[int], k: int) -> list[int]:
    stored = {id: vector_of(id).astype(np.float16).astype(np.float32) for id in ids}
    return sorted(ids, key=lambda id: (-float(stored[id] @ query), id))[:k]

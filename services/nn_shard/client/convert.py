"""A shard's messages and its values, both ways, here and nowhere else. Columns go over whole, not hit by hit."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from omma.drift import Drift
from omma.errors import InvalidQuery
from omma.hits import Degraded, FetchedPicture, Hits, ShardHits
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.records import (
    boxes_from_wire,
    boxes_to_wire,
    encoded_payloads,
    payload_from_wire,
    payload_to_wire,
    stored_payloads,
)
from omma.v1 import shard_pb2
from omma.vectors import from_wire, to_wire
from services.nn_shard.client.interface import BucketDigests, BucketPage, ShardQuery, ShardStats

_DEGRADED = frozenset(Degraded)
_CORNER = np.dtype("<i4")


def search_request(query: ShardQuery) -> shard_pb2.ShardServiceSearchRequest:
    return shard_pb2.ShardServiceSearchRequest(
        index=query.index,
        space=query.space,
        tenant=query.tenant,
        query=to_wire(query.query[np.newaxis]),
        k=query.k,
        filter=query.filter,
        effort=query.effort,
        exact=query.exact,
        use_crops=query.use_crops,
        with_payload=query.with_payload,
        with_vectors=query.with_vectors,
        exclude_ids=query.exclude_ids,
        receipts=[str(receipt) for receipt in query.receipts],
        explain=query.explain,
        with_signatures=query.with_signatures,
        visible_to=query.visible_to,
    )


def shard_query(message: shard_pb2.ShardServiceSearchRequest) -> ShardQuery:
    """Raises InvalidQuery, fields `vector` and `receipts`, for what cannot be read; the engine checks the rest."""
    rows = from_wire(message.query)
    if len(rows) != 1:
        raise InvalidQuery(f"A search has one query vector, this one has {len(rows)}.", field="vector")
    return ShardQuery(
        tenant=Tenant(message.tenant),
        index=message.index,
        space=message.space,
        query=rows[0].astype(np.float32, copy=False),
        k=message.k,
        filter=message.filter,
        effort=message.effort,
        exact=message.exact,
        use_crops=message.use_crops,
        with_payload=message.with_payload,
        with_vectors=message.with_vectors,
        exclude_ids=tuple(message.exclude_ids),
        receipts=tuple(map(Receipt.parse, message.receipts)),
        explain=message.explain,
        with_signatures=message.with_signatures,
        visible_to=message.visible_to if message.HasField("visible_to") else None,
    )


def search_response(answer: ShardHits) -> shard_pb2.ShardServiceSearchResponse:
    hits = answer.hits
    return shard_pb2.ShardServiceSearchResponse(
        ids=hits.ids.tolist(),
        scores=hits.scores.tolist(),
        versions=hits.versions.tolist(),
        phashes=hits.phashes.tolist(),
        box_corners=hits.boxes.astype(_CORNER, copy=False).tobytes(),
        encoded_payloads=encoded_payloads(hits.payloads or ()),
        vectors=None if hits.vectors is None else to_wire(hits.vectors),
        index=answer.index,
        space=answer.space,
        live=answer.live,
        degraded=answer.degraded,
        lists_probed=answer.lists_probed,
        candidates=answer.candidates,
        stage_us=answer.stage_us,
        applied=answer.applied,
        phash_known=hits.has_phash().tolist(),
        signatures=hits.signatures or (),
    )


def shard_hits(message: shard_pb2.ShardServiceSearchResponse, query: ShardQuery) -> ShardHits:
    """query: says which optional columns were asked for. What a newer shard adds to `degraded` is passed over."""
    n = len(message.ids)
    vectors = None
    if query.with_vectors:
        vectors = from_wire(message.vectors, len(query.query)).astype(np.float16, copy=False)
    return ShardHits(
        hits=Hits(
            ids=np.fromiter(message.ids, np.int64, n),
            scores=np.fromiter(message.scores, np.float32, n),
            versions=np.fromiter(message.versions, np.int64, n),
            phashes=np.fromiter(message.phashes, np.uint64, n),
            boxes=np.frombuffer(message.box_corners, _CORNER).reshape(n, 4),
            payloads=stored_payloads(message.encoded_payloads) if query.with_payload else None,
            vectors=vectors,
            phash_known=np.fromiter(message.phash_known, np.bool_, n) if len(message.phash_known) == n else None,
            signatures=tuple(message.signatures) if len(message.signatures) == n and query.with_signatures else None,
        ),
        index=message.index,
        space=message.space,
        live=message.live,
        degraded=frozenset(Degraded(one) for one in message.degraded if one in _DEGRADED),
        lists_probed=message.lists_probed,
        candidates=message.candidates,
        stage_us=dict(message.stage_us),
        applied=message.applied,
    )


def fetch_response(pictures: Sequence[FetchedPicture], index: str, space: str) -> shard_pb2.ShardServiceFetchResponse:
    return shard_pb2.ShardServiceFetchResponse(
        pictures=[
            shard_pb2.FetchedPicture(
                image_id=picture.image_id,
                version=picture.version,
                tenant=picture.tenant,
                vectors=to_wire(picture.vectors),
                boxes=boxes_to_wire(picture.boxes),
                phash=picture.phash,
                payload=payload_to_wire(picture.payload),
                segment=picture.segment,
                signature=picture.signature,
            )
            for picture in pictures
        ],
        index=index,
        space=space,
    )


def fetched_pictures(message: shard_pb2.ShardServiceFetchResponse) -> list[FetchedPicture]:
    return [
        FetchedPicture(
            image_id=ImageId(picture.image_id),
            version=Version(picture.version),
            tenant=Tenant(picture.tenant),
            vectors=from_wire(picture.vectors).astype(np.float16, copy=False),
            boxes=boxes_from_wire(picture.boxes),
            phash=picture.phash if picture.HasField("phash") else None,
            payload=payload_from_wire(picture.payload),
            segment=picture.segment,
            signature=picture.signature,
        )
        for picture in message.pictures
    ]


def stats_response(stats: ShardStats) -> shard_pb2.ShardServiceStatsResponse:
    return shard_pb2.ShardServiceStatsResponse(
        index=stats.index,
        space=stats.space,
        shard=stats.shard,
        shards=stats.shards,
        live=stats.live,
        pictures=stats.pictures,
        dead_rows=stats.dead_rows,
        head_rows=stats.head_rows,
        segments=stats.segments,
        codebook=stats.codebook,
        next_offsets=stats.next_offsets,
        lag=stats.lag,
        ready=stats.ready,
        stale=stats.stale,
        drift=None if stats.drift is None else shard_pb2.Drift(**asdict(stats.drift)),
    )


def shard_stats(message: shard_pb2.ShardServiceStatsResponse) -> ShardStats:
    return ShardStats(
        index=message.index,
        space=message.space,
        shard=message.shard,
        shards=message.shards,
        live=message.live,
        pictures=message.pictures,
        dead_rows=message.dead_rows,
        head_rows=message.head_rows,
        segments=message.segments,
        codebook=message.codebook,
        next_offsets=tuple(message.next_offsets),
        lag=message.lag,
        ready=message.ready,
        stale=message.stale,
        drift=_drift(message.drift) if message.HasField("drift") else None,
    )


def _drift(message: shard_pb2.Drift) -> Drift:
    return Drift(
        message.train_rows,
        message.list_imbalance,
        message.quantisation_error,
        message.recent_fit,
        message.rebuild,
    )


def digest_response(digests: BucketDigests) -> shard_pb2.ShardServiceDigestResponse:
    return shard_pb2.ShardServiceDigestResponse(
        buckets=digests.buckets,
        pictures=digests.pictures.tolist(),
        sums=digests.sums.tolist(),
        next_offsets=digests.next_offsets.tolist(),
    )


def bucket_digests(message: shard_pb2.ShardServiceDigestResponse) -> BucketDigests:
    n = len(message.buckets)
    first = message.buckets[0] if n else 0
    return BucketDigests(
        buckets=range(first, first + n),
        pictures=np.fromiter(message.pictures, np.int64, n),
        sums=np.fromiter(message.sums, np.uint64, n),
        next_offsets=np.fromiter(message.next_offsets, np.int64, n),
    )


def list_response(page: BucketPage) -> shard_pb2.ShardServiceListResponse:
    return shard_pb2.ShardServiceListResponse(
        ids=page.ids.tolist(), versions=page.versions.tolist(), more=page.more, next_offset=page.next_offset
    )


def bucket_page(message: shard_pb2.ShardServiceListResponse) -> BucketPage:
    n = len(message.ids)
    return BucketPage(
        ids=np.fromiter(message.ids, np.int64, n),
        versions=np.fromiter(message.versions, np.int64, n),
        more=message.more,
        next_offset=message.next_offset,
    )

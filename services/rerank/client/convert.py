"""Re-ranking between Python values and messages, both ways."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.hits import Hits, Payload
from omma.identity import ImageId
from omma.records import encoded_payloads, stored_payloads
from omma.v1 import rerank_pb2
from omma.vectors import from_wire, to_wire
from services.rerank.client.interface import DropReason, Folded, NearDuplicates, RankedHit, Reranked, RerankQuery

_CORNER: Final = np.dtype("<i4")
_TO_WIRE: Final = {
    NearDuplicates.COLLAPSE: rerank_pb2.NEAR_DUPLICATES_COLLAPSE,
    NearDuplicates.DROP: rerank_pb2.NEAR_DUPLICATES_DROP,
    NearDuplicates.KEEP: rerank_pb2.NEAR_DUPLICATES_KEEP,
}
_FROM_WIRE: Final[dict[int, NearDuplicates]] = {
    rerank_pb2.NEAR_DUPLICATES_UNSPECIFIED: NearDuplicates.COLLAPSE,
    **{number: one for one, number in _TO_WIRE.items()},
}


def near_duplicates_from_wire(number: int) -> NearDuplicates:
    """Unset is collapse. Raises InvalidQuery, field `near_duplicates`, for a number that the enum lacks."""
    known = _FROM_WIRE.get(number)
    if known is None:
        raise InvalidQuery(f"near_duplicates has no value {number}.", field="near_duplicates")
    return known


def rerank_request(query: RerankQuery, candidates: Hits) -> rerank_pb2.RerankRequest:
    """Every column travels: which of them a policy looks at is known only over there."""
    payloads = candidates.payloads or (Payload(),) * len(candidates)
    columns = zip(
        candidates.ids.tolist(), candidates.scores.tolist(), candidates.phashes.tolist(), payloads, strict=True
    )
    return rerank_pb2.RerankRequest(
        policy=query.policy,
        k=query.k,
        candidates=[
            rerank_pb2.RerankCandidate(
                image_id=image_id,
                score=score,
                phash=phash,
                source_url=payload.source_url,
                width=payload.width,
                height=payload.height,
            )
            for image_id, score, phash, payload in columns
        ],
        vectors=None if candidates.vectors is None else to_wire(candidates.vectors),
        near_duplicates=_TO_WIRE[query.near_duplicates],
        query_phash=query.query_phash,
        phash_gate=query.phash_gate,
        score_threshold=query.score_threshold,
        duplicate_bits=query.duplicate_bits,
        encoded_payloads=encoded_payloads(candidates.payloads or ()),
        versions=candidates.versions.tolist(),
        box_corners=candidates.boxes.astype(_CORNER, copy=False).tobytes(),
        phash_known=candidates.has_phash().tolist(),
        signatures=candidates.signatures or (),
        together=[rerank_pb2.RerankPair(first=first, second=second) for first, second in query.together],
        apart=[rerank_pb2.RerankPair(first=first, second=second) for first, second in query.apart],
        grouped=[
            rerank_pb2.RerankGrouped(first=first, second=second, rule=rule, distance=distance)
            for first, second, rule, distance in query.grouped
        ],
    )


def query_and_candidates(request: rerank_pb2.RerankRequest) -> tuple[RerankQuery, Hits]:
    """Raises InvalidQuery when a column is not as long as the candidates, or an id comes twice.

    A payload is decoded when it is looked at: DecodeError then.
    """
    query = RerankQuery(
        k=request.k,
        policy=request.policy,
        near_duplicates=near_duplicates_from_wire(request.near_duplicates),
        query_phash=request.query_phash if request.HasField("query_phash") else None,
        phash_gate=request.phash_gate if request.HasField("phash_gate") else None,
        score_threshold=request.score_threshold if request.HasField("score_threshold") else None,
        duplicate_bits=request.duplicate_bits,
        together=tuple((ImageId(one.first), ImageId(one.second)) for one in request.together),
        apart=tuple((ImageId(one.first), ImageId(one.second)) for one in request.apart),
        grouped=tuple((one.first, one.second, one.rule, one.distance) for one in request.grouped),
    )
    rows = request.candidates
    ids = np.array([row.image_id for row in rows], np.int64)
    if len(np.unique(ids)) != len(ids):
        raise InvalidQuery("A candidate comes twice.", field="candidates")
    vectors = None
    if request.HasField("vectors") and request.vectors.dim:
        vectors = from_wire(request.vectors).astype(np.float16, copy=False)
        if len(vectors) != len(ids):
            raise InvalidQuery(f"{len(ids)} candidates have {len(vectors)} vectors.", field="vectors")
    candidates = Hits(
        ids=ids,
        scores=np.array([row.score for row in rows], np.float32),
        versions=_column("versions", request.versions, np.dtype(np.int64), len(ids)),
        phashes=np.array([row.phash for row in rows], np.uint64),
        boxes=_column("box_corners", request.box_corners, _CORNER, 4 * len(ids)).reshape(-1, 4),
        payloads=_payloads(request),
        vectors=vectors,
        phash_known=_known(request),
        signatures=_signatures(request),
    )
    return query, candidates


def _column(field: str, sent: Sequence[int] | bytes, dtype: np.dtype[Any], length: int) -> npt.NDArray[Any]:
    """Zeros when nothing was sent."""
    try:
        column = np.frombuffer(sent, dtype) if isinstance(sent, bytes) else np.array(sent, dtype)
    except ValueError:  # no whole number of elements
        column = np.empty(0, dtype)
    if not len(sent):
        return np.zeros(length, dtype)
    if len(column) != length:
        raise InvalidQuery(f"{field} has {len(column)} values instead of {length}.", field=field)
    return column


def _known(request: rerank_pb2.RerankRequest) -> npt.NDArray[np.bool_] | None:
    """None from a caller of before the column."""
    if not request.phash_known:
        return None
    return _column("phash_known", request.phash_known, np.dtype(np.bool_), len(request.candidates))


def _signatures(request: rerank_pb2.RerankRequest) -> Sequence[bytes] | None:
    if not request.signatures:
        return None
    if len(request.signatures) != len(request.candidates):
        said = f"{len(request.candidates)} candidates have {len(request.signatures)} signatures."
        raise InvalidQuery(said, field="signatures")
    return tuple(request.signatures)


def _payloads(request: rerank_pb2.RerankRequest) -> Sequence[Payload]:
    rows, encoded = request.candidates, request.encoded_payloads
    if not encoded:
        return tuple(Payload(source_url=row.source_url, width=row.width, height=row.height) for row in rows)
    if len(encoded) != len(rows):
        raise InvalidQuery(f"{len(rows)} candidates have {len(encoded)} payloads.", field="encoded_payloads")
    return stored_payloads(encoded)


def rerank_response(reranked: Reranked, candidates: Hits) -> rerank_pb2.RerankResponse:
    return rerank_pb2.RerankResponse(
        hits=[
            rerank_pb2.RerankedHit(
                image_id=candidates.ids[hit.position],
                score=candidates.scores[hit.position],
                phash_distance=hit.phash_distance,
                duplicates=hit.duplicates,
            )
            for hit in reranked.ranked
        ],
        dropped=[rerank_pb2.RerankDropped(image_id=id, reason=reason.value) for id, reason in reranked.dropped],
        policy=reranked.policy,
        folded=[
            rerank_pb2.RerankFolded(image_id=one.id, into=one.into, rule=one.rule, distance=one.distance)
            for one in reranked.folded
        ],
    )


def reranked_from_wire(response: rerank_pb2.RerankResponse, candidates: Hits) -> Reranked:
    """candidates: what was sent, which positions count in."""
    position = {image_id: row for row, image_id in enumerate(candidates.ids.tolist())}
    return Reranked(
        ranked=tuple(
            RankedHit(
                position[hit.image_id],
                hit.phash_distance if hit.HasField("phash_distance") else None,
                tuple(ImageId(one) for one in hit.duplicates),
            )
            for hit in response.hits
        ),
        policy=response.policy,
        dropped=tuple((ImageId(one.image_id), DropReason(one.reason)) for one in response.dropped),
        folded=tuple(
            Folded(ImageId(one.image_id), ImageId(one.into), one.rule, one.distance) for one in response.folded
        ),
    )

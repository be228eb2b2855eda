"""Searches and pictures between messages of omma.v1.SearchService and Python values."""

import json
from typing import Any

import numpy as np

from omma import sent_json
from omma.catalog.picture import Picture
from omma.description import Description
from omma.errors import InvalidQuery
from omma.filters import parse_filter
from omma.identity import ImageId, Receipt
from omma.v1 import search_pb2, types_pb2
from omma.vectors import Float32, from_wire
from services.gateway.content_urls import thumbnail_url
from services.gateway.search.answer import SearchAnswer, SearchHit
from services.gateway.search.query import (
    DEFAULT_K,
    DEFAULT_TIMEOUT_MS,
    Region,
    SearchQuery,
    Sought,
    SoughtPicture,
    SoughtStored,
    SoughtUrl,
    SoughtVector,
    SoughtWords,
    check_space,
    region_of,
)
from services.rerank.client.convert import near_duplicates_from_wire


def query_from_wire(message: search_pb2.SearchRequest) -> SearchQuery:
    """Raises InvalidQuery or TooLarge, naming the field. Proto's zero means unset where zero is no legal value."""
    sought = tuple(_sought(one, message.space) for one in message.queries)
    check_space(message.space, sought)
    return SearchQuery(
        sought=sought,
        k=message.k or DEFAULT_K,
        filter=parse_filter(message.filter),
        score_threshold=message.score_threshold if message.HasField("score_threshold") else None,
        near_duplicates=near_duplicates_from_wire(message.near_duplicates),
        phash_gate=message.phash_gate if message.HasField("phash_gate") else None,
        use_crops=message.use_crops,
        policy=message.policy,
        index=message.index,
        effort=message.effort,
        exact=message.exact,
        explain=message.explain,
        timeout_ms=message.timeout_ms or DEFAULT_TIMEOUT_MS,
        min_coverage=message.min_coverage,
        receipts=tuple(map(Receipt.parse, message.receipts)),
        auto_threshold=message.auto_score_threshold,
        user_id=message.user_id,
        cursor=message.cursor,
    )


def answer_to_wire(answer: SearchAnswer) -> search_pb2.SearchResponse:
    """explain as JSON bytes; empty unless asked for."""
    return search_pb2.SearchResponse(
        results=map(_hit, answer.hits),
        latency_ms=answer.latency_ms,
        query_id=answer.query_id,
        space=answer.space,
        index=answer.index,
        coverage=types_pb2.Coverage(
            fraction=answer.coverage.fraction,
            shards_answered=answer.coverage.shards_answered,
            shards_total=answer.coverage.shards_total,
        ),
        degraded=[reason.value for reason in answer.degraded],
        explain_json=b"" if answer.explain is None else _json(answer.explain),
        understood=answer.understood,
        next_cursor=answer.next_cursor or "",
        no_good_match=answer.no_good_match,
        variant=None
        if answer.variant is None
        else search_pb2.Variant(rollout=answer.variant.rollout, arm=answer.variant.arm.value),
    )


def picture_to_wire(picture: Picture) -> search_pb2.Picture:
    return search_pb2.Picture(
        id=picture.id,
        key=picture.key,
        sha256=picture.sha256,
        uri=picture.uri,
        version=picture.version,
        state=picture.state.value,
        reason=picture.reason,
        width=picture.width,
        height=picture.height,
        owner=picture.owner,
        tags=picture.tags,
        source_url=picture.source_url,
        attributes_json=_json(dict(picture.attributes)),
        created_at_ms=picture.created_at_ms,
        private=picture.private,
    )


def description_from_wire(message: search_pb2.UpsertRequest) -> Description:
    """Raises InvalidQuery, naming the field."""
    return Description(
        external_id=message.external_id,
        owner=message.owner,
        tags=tuple(dict.fromkeys(message.tags)),
        source_url=message.source_url,
        attributes=_attributes(message.attributes_json),
        private=message.private if message.HasField("private") else None,
    )


def _sought(message: search_pb2.SearchQuery, space: str) -> Sought:
    weight = message.weight if message.HasField("weight") else 1.0
    region = _region(message.bbox) if message.HasField("bbox") else None
    what = message.WhichOneof("what")
    if region is not None and what in ("text", "vector"):
        raise InvalidQuery(f"bbox is a part of a picture, not of a {what}.", field="bbox")
    match what:
        case "image":
            return SoughtPicture(message.image, weight, region)
        case "image_url":
            return SoughtUrl(message.image_url, weight, region)
        case "image_id":
            return SoughtStored(ImageId(message.image_id), weight, region)
        case "text":
            return SoughtWords(message.text, weight)
        case "vector":
            return SoughtVector(_vector(message.vector), space, weight)
        case _:
            raise InvalidQuery("Each of queries has an image, image_url, image_id, text or vector.", field="queries")


def _vector(message: types_pb2.Vectors) -> Float32:
    rows = from_wire(message)
    if len(rows) != 1:
        raise InvalidQuery(f"One vector is sought at a time, not {len(rows)}.", field="vector")
    vector: Float32 = rows[0].astype(np.float32)
    return vector


def _region(box: types_pb2.Box) -> Region:
    return region_of([box.left, box.top, box.right, box.bottom])


def _hit(hit: SearchHit) -> search_pb2.SearchHit:
    payload = hit.payload
    message = search_pb2.SearchHit(
        id=hit.id,
        score=hit.score,
        uri=payload.uri,
        thumbnail_url=thumbnail_url(hit.id, payload.sha256),
        duplicates=[one.id for one in hit.duplicates],
        attributes_json=_json(payload.attributes) if payload.attributes else b"",
        tags=payload.tags,
        owner=payload.owner,
        source_url=payload.source_url,
        width=payload.width,
        height=payload.height,
    )
    if hit.box is not None:
        left, top, right, bottom = hit.box
        message.bbox.CopyFrom(types_pb2.Box(left=left, top=top, right=right, bottom=bottom))
    if hit.phash_distance is not None:
        message.phash_distance = hit.phash_distance
    if hit.origin is not None:
        message.arm, message.index, message.space = hit.origin.arm.value, hit.origin.index, hit.origin.space
    return message


def _attributes(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    try:
        attributes = sent_json.parse(content)
    except RecursionError:
        raise InvalidQuery("attributes_json is nested too deep.", field="attributes_json") from None
    except ValueError as error:
        raise InvalidQuery(f"attributes_json is not JSON: {error}.", field="attributes_json") from None
    if not isinstance(attributes, dict):
        raise InvalidQuery("attributes_json must be a JSON object.", field="attributes_json")
    return attributes


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

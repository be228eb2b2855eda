"""Answers as JSON: plain dicts and the standard encoder, since a search may cost 5 ms here at most."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from omma.catalog.picture import Page, Picture
from omma.keywords import Keyword
from omma.quality import Quality, size_quality
from omma.space import Space
from services.gateway.content_urls import content_url, content_version, thumbnail_url
from services.gateway.pictures.core import Content, Original, Uploaded
from services.gateway.search.answer import Duplicate, SearchAnswer, SearchHit


class JsonResponse(Response):
    """application/json of a dict; NaN never shows."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        said = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # Half of a surrogate pair, as in a field that a batch's search misnamed, goes back as JSON's escape of it.
        return said.encode(errors="backslashreplace")


def search_document(answer: SearchAnswer) -> dict[str, Any]:
    """The 200 of CONTRACT's Search."""
    document: dict[str, Any] = {
        "results": [hit_document(hit) for hit in answer.hits],
        "latency_ms": answer.latency_ms,
        "query_id": answer.query_id,
        "space": answer.space,
        "index": answer.index,
        "coverage": {
            "fraction": round(answer.coverage.fraction, 6),
            "shards_answered": answer.coverage.shards_answered,
            "shards_total": answer.coverage.shards_total,
        },
        "degraded": [reason.value for reason in answer.degraded],
        "no_good_match": answer.no_good_match,
    }
    if answer.variant is not None:
        document["variant"] = {"rollout": answer.variant.rollout, "arm": answer.variant.arm.value}
    if answer.understood is not None:
        document["understood"] = round(answer.understood, 3)
    if answer.next_cursor is not None:
        document["next_cursor"] = answer.next_cursor
    if answer.explain is not None:
        document["explain"] = answer.explain
    return document


def hit_document(hit: SearchHit) -> dict[str, Any]:
    payload, origin = hit.payload, hit.origin
    optional = {
        "bbox": hit.box,
        "phash_distance": hit.phash_distance,
        "duplicates": [_duplicate(one) for one in hit.duplicates] or None,
        "attributes": payload.attributes or None,
        "tags": payload.tags or None,
        "owner": payload.owner or None,
        "source_url": payload.source_url or None,
        "arm": None if origin is None else origin.arm.value,
        "index": None if origin is None else origin.index,
        "space": None if origin is None else origin.space,
    }
    return {
        "id": hit.id,
        "score": hit.score,
        "uri": payload.uri,
        "thumbnail_url": thumbnail_url(hit.id, payload.sha256),
        "width": payload.width,
        "height": payload.height,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _duplicate(one: Duplicate) -> dict[str, Any]:
    return {"id": one.id, "score": one.score, "uri": one.uri, "thumbnail_url": thumbnail_url(one.id, one.sha256)}


def model_document(space: Space) -> dict[str, str]:
    """model_name and model_version of vectors of this space."""
    name, _, version = space.model.partition("@")
    return {"model_name": name, "model_version": version}


def upload_document(uploaded: Uploaded) -> dict[str, Any]:
    """The answer of POST /images."""
    return {
        "id": uploaded.id,
        "sha256": uploaded.sha256,
        "receipt": str(uploaded.receipt),
        "duplicate": uploaded.duplicate,
    }


def picture_document(picture: Picture) -> dict[str, Any]:
    """A row, as GET /images/{id} tells it. space: of a vector that was given, which has no content."""
    document = {
        "id": picture.id,
        "key": picture.key,
        "sha256": picture.sha256,
        "uri": picture.uri,
        "content_url": content_url(picture.id, picture.sha256),
        "thumbnail_url": thumbnail_url(picture.id, picture.sha256),
        "version": picture.version,
        "receipt": f"{picture.id}@{picture.version}",
        "state": picture.state.value,
        "created_at": datetime.fromtimestamp(picture.created_at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "bytes": picture.bytes,
        "width": picture.width,
        "height": picture.height,
        "owner": picture.owner,
        "tags": list(picture.tags),
        "source_url": picture.source_url,
        "attributes": dict(picture.attributes),
    }
    if picture.quality is not None:
        document |= quality_document(picture.quality, picture.width, picture.height)
    more = {"reason": picture.reason, "space": picture.space, "private": picture.private}
    return document | {name: value for name, value in more.items() if value}


def auto_tags_document(tags: Sequence[Keyword]) -> dict[str, Any]:
    """Nothing where none were told."""
    told = [{"tag": one.word, "confidence": one.confidence, "from": list(one.tellers)} for one in tags]
    return {"auto_tags": told} if told else {}


def quality_document(quality: Quality, width: int, height: int) -> dict[str, Any]:
    parts = {
        "sharpness": quality.sharpness,
        "exposure": quality.exposure,
        "size": size_quality(width, height),
    }
    rounded = {name: round(value, 3) for name, value in parts.items()}
    return {"quality_score": round(quality.score(width, height), 3), "quality": rounded}


def page_document(page: Page) -> dict[str, Any]:
    """The answer of GET /images."""
    document: dict[str, Any] = {"images": [picture_document(one) for one in page.pictures], "count": page.count}
    if page.capped:
        document["count_capped"] = True
    return {**document, "next_cursor": page.cursor} if page.cursor is not None else document


def etags(request: Request) -> frozenset[str]:
    """What the caller has, by If-None-Match; weak ones count, and lists may stand in several lines, as RFC 9110 has
    it.
    """
    tags = ",".join(request.headers.getlist("if-none-match")).split(",")
    return frozenset(tag.strip().removeprefix("W/") for tag in tags)


def content_response(content: Content | Original, version: str | None) -> Response:
    """The bytes, or 304. version: of the address; under their own they never change, else they are asked after."""
    never_changes = version == content_version(content.sha256)
    headers = {
        "ETag": content.etag,
        "Cache-Control": "private, max-age=31536000, immutable" if never_changes else "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if isinstance(content, Original):
        headers["Content-Length"] = str(content.bytes)
        return StreamingResponse(content.pieces, media_type=content.media_type, headers=headers)
    if content.content is None:
        return Response(status_code=304, headers=headers)
    return Response(content.content, media_type=content.media_type, headers=headers)

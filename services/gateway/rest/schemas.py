"""What /openapi.json says beyond the paths: bodies, answers, examples. The bodies themselves are read by `body`."""

from typing import Any, Final

from omma.filters import ATTRIBUTES, NUMBER_FIELDS, TEXT_FIELDS
from services.gateway.rest import answer_schemas as shapes

_STRING: Final = {"type": "string"}
_INTEGER: Final = {"type": "integer"}
_NUMBER: Final = {"type": "number"}
_TRUTH: Final = {"type": "boolean", "default": False}
_USER_ID: Final = {"oneOf": [{"type": "string", "maxLength": 256}, {"type": "integer"}]}
_BYTES: Final = {"type": "string", "format": "binary"}

_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "kind", "request_id"],
    "properties": {
        "type": _STRING,
        "title": _STRING,
        "status": _INTEGER,
        "detail": _STRING,
        "kind": _STRING,
        "field": _STRING,
        "limit": _NUMBER,
        "request_id": _STRING,
    },
    "example": {
        "type": "urn:omma:problem:invalid_query",
        "title": "The query is invalid",
        "status": 422,
        "detail": "k must be 1 to 1000.",
        "kind": "invalid_query",
        "field": "k",
        "limit": 1000,
        "request_id": "6d1c3f0e9f1c4f5f8a2b7f4f0c9f9c11",
    },
}
_A_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": _PROBLEM}},
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"4XX": _A_PROBLEM, "5XX": _A_PROBLEM}

_FILTER: Final = (
    'JSON: {"and": […]}, {"or": […]}, {"not": …}, {field: value}, {field: {"in": […]}}, {field: {"gte", "gt", "lte", '
    f'"lt"}}}}; fields: {", ".join(sorted(TEXT_FIELDS | NUMBER_FIELDS))}, {ATTRIBUTES}<name>.'
)
_OPTIONS: Final[dict[str, Any]] = {
    "image_url": {**_STRING, "description": "A public http or https URL."},
    "image_id": {**_INTEGER, "description": "A stored picture; it leaves itself out of the answer."},
    "text": {**_STRING, "maxLength": 2000, "example": "a red chair"},
    "vector": {"type": "array", "items": _NUMBER, "description": "Needs space."},
    "space": _STRING,
    "image_url_weight": {**_NUMBER, "default": 1},
    "image_id_weight": {**_NUMBER, "default": 1},
    "text_weight": {**_NUMBER, "default": 1, "description": "May be negative."},
    "vector_weight": {**_NUMBER, "default": 1},
    "bbox": {**_STRING, "description": "x1,y1,x2,y2 of the upright picture, right and bottom exclusive."},
    "bbox_unit": {**_STRING, "enum": ["pixel", "fraction"], "default": "pixel"},
    "k": {**_INTEGER, "minimum": 1, "maximum": 1000, "default": 50},
    "cursor": {**_STRING, "description": "next_cursor of an earlier answer."},
    "filter": {**_STRING, "description": _FILTER},
    "score_threshold": {**_NUMBER, "minimum": -1, "maximum": 1},
    "near_duplicates": {**_STRING, "enum": ["collapse", "drop", "keep"], "default": "collapse"},
    "phash_gate": {**_INTEGER, "minimum": 0, "maximum": 64},
    "use_crops": _TRUTH,
    "policy": {**_STRING, "description": "name or name@version of a re-rank policy."},
    "index": {**_STRING, "description": "Pins an index."},
    "effort": {**_INTEGER, "minimum": 1, "maximum": 10},
    "exact": _TRUTH,
    "explain": _TRUTH,
    "timeout_ms": {**_INTEGER, "minimum": 1, "maximum": 60000, "default": 2000},
    "min_coverage": {**_NUMBER, "minimum": 0, "maximum": 1, "default": 0},
    "receipts": {"type": "array", "items": _STRING, "description": "Waits for these writes."},
    "user_id": {**_USER_ID, "description": "For impressions."},
}
_SEARCH_FORM: Final = {
    "type": "object",
    "properties": {"image": _BYTES, "image_weight": {**_NUMBER, "default": 1}, **_OPTIONS},
}
_SEARCH_JSON: Final = {
    "type": "object",
    "properties": {
        **_OPTIONS,
        "filter": {"type": "object", "additionalProperties": True, "description": _FILTER},
        "queries": {
            "type": "array",
            "description": "Several things to look for, mixed by weight.",
            "items": {
                "type": "object",
                "properties": {
                    **{
                        name: _OPTIONS[name]
                        for name in ("text", "image_id", "image_url", "vector", "bbox", "bbox_unit")
                    },
                    "weight": {**_NUMBER, "default": 1},
                },
            },
        },
    },
}
_ANSWER_EXAMPLE: Final = {
    "results": [
        {
            "id": 123,
            "score": 0.913204,
            "uri": "file:///pictures/lamp.jpg",
            "thumbnail_url": "/images/123/thumbnail?v=9f86d081884c7d65",
            "width": 640,
            "height": 480,
            "duplicates": [{"id": 456, "score": 0.912, "uri": "file:///pictures/lamp-2.jpg"}],
            "tags": ["lamp"],
        }
    ],
    "latency_ms": 12.3,
    "query_id": "0d9e0a6a3c7a4a7a8f5b1f8e5b0f6c1d",
    "space": "mobilenet-1-1a2b3c4d",
    "index": "mobilenet-1-1a2b3c4d.1",
    "coverage": {"fraction": 1.0, "shards_answered": 1, "shards_total": 1},
    "degraded": [],
}
_UPLOAD_EXAMPLE: Final = {"id": 123, "sha256": "9f86d081…", "receipt": "123@1", "duplicate": False}
_PICTURE_EXAMPLE: Final = {
    "id": 123,
    "key": "sku-7",
    "version": 1,
    "state": "indexed",
    "tags": ["lamp"],
    "receipt": "123@1",
}
_RECEIPT: Final = {"Omma-Receipt": {"schema": _STRING, "description": "For receipts of a search that shall see it."}}


def _json(example: Any, description: str = "OK", schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """schema: of the answer, for generated clients."""
    return {
        "description": description,
        "content": {"application/json": {"schema": schema or {"type": "object"}, "example": example}},
    }


def _body(**content: dict[str, Any]) -> dict[str, Any]:
    types = {"json": "application/json", "form": "multipart/form-data"}
    return {"requestBody": {"required": True, "content": {types[name]: one for name, one in content.items()}}}


def _parameters(names: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [{"in": "query", "name": name, "schema": schema} for name, schema in names.items()]}


def _operation(ok: dict[int | str, Any], extra: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"responses": {**ok, **PROBLEMS}, "openapi_extra": extra or {}}


_SEARCH_EXAMPLES: Final = {
    "stored picture": {"value": {"image_id": 123, "k": 10}},
    "part of a stored picture": {"value": {"image_id": 123, "bbox": "0.2,0.2,0.8,0.8", "bbox_unit": "fraction"}},
    "mixture": {"value": {"queries": [{"image_id": 123}, {"text": "at night", "weight": 0.5}]}},
    "filtered": {"value": {"image_id": 123, "filter": {"and": [{"owner": "ann"}, {"width": {"gte": 640}}]}}},
}
_FOUND: Final[dict[int | str, Any]] = {200: _json(_ANSWER_EXAMPLE, "What was found, best first", shapes.SEARCH_ANSWER)}
_WITHOUT_PICTURE: Final = {name: schema for name, schema in _OPTIONS.items() if name not in ("image_url", "vector")}

SEARCH: Final = _operation(
    _FOUND,
    _body(
        form={"schema": _SEARCH_FORM, "example": {"bbox": "30,20,220,200", "k": 50}},
        json={"schema": _SEARCH_JSON, "examples": _SEARCH_EXAMPLES},
    ),
)
SEARCH_WORDS: Final = _operation(_FOUND, _parameters(_WITHOUT_PICTURE))
NEIGHBOURS: Final = _operation(
    _FOUND, _parameters({name: schema for name, schema in _WITHOUT_PICTURE.items() if name not in ("image_id", "text")})
)
SEARCH_BATCH: Final = _operation(
    {200: _json({"answers": [_ANSWER_EXAMPLE, _PROBLEM["example"]]}, "One answer or problem each, in order")},
    _body(
        json={
            "schema": {
                "type": "object",
                "required": ["searches"],
                "properties": {"searches": {"type": "array", "maxItems": 64, "items": _SEARCH_JSON}},
            },
            "example": {"searches": [{"image_id": 123}, {"image_id": 456, "k": 5}]},
        }
    ),
)
_VECTOR: Final[dict[int | str, Any]] = {
    200: _json({"vector": [0.02, -0.11], "space": "mobilenet-1-1a2b3c4d"}, schema=shapes.VECTOR)
}
EMBED_IMAGE: Final = _operation(
    _VECTOR,
    _body(
        form={
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": _BYTES, "bbox": _OPTIONS["bbox"], "bbox_unit": _OPTIONS["bbox_unit"]},
            }
        }
    ),
)
EMBED_TEXT: Final = _operation(
    {200: _json({"vector": [0.02, -0.11], "space": "mobilenet-1-1a2b3c4d", "confidence": 0.93}, schema=shapes.VECTOR)},
    _body(
        json={
            "schema": {"type": "object", "required": ["text"], "properties": {"text": _STRING}},
            "example": {"text": "a red chair"},
        }
    ),
)
CLICK: Final = _operation(
    {204: {"description": "Taken"}},
    _body(
        json={
            "schema": {
                "type": "object",
                "required": ["displayed_image_id", "rank"],
                "properties": {
                    "user_id": _USER_ID,
                    "query_image_id": _INTEGER,
                    "displayed_image_id": _INTEGER,
                    "rank": _INTEGER,
                    "query_id": _STRING,
                },
            },
            "example": {"user_id": 42, "query_image_id": 123, "displayed_image_id": 456, "rank": 1},
        }
    ),
)
UPLOAD: Final = _operation(
    {
        201: _json(_UPLOAD_EXAMPLE, "Durable", shapes.UPLOADED),
        200: _json({**_UPLOAD_EXAMPLE, "duplicate": True}, "There already", shapes.UPLOADED),
    },
    _body(
        form={
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": _BYTES,
                    "external_id": {**_STRING, "description": "Your key; without one the sha256 is the key."},
                    "owner": _STRING,
                    "tags": {**_STRING, "description": "With commas between them, or repeated."},
                    "source_url": _STRING,
                    "attributes": {**_STRING, "description": "A JSON object of texts, numbers and truth values."},
                },
            },
            "example": {"external_id": "sku-7", "tags": "lamp,brass", "attributes": '{"price": 40}'},
        }
    ),
)
LIST: Final = _operation(
    {200: _json({"images": [_PICTURE_EXAMPLE], "count": 1}, schema=shapes.PICTURES)},
    _parameters(
        {"filter": _OPTIONS["filter"], "cursor": _STRING, "limit": {**_INTEGER, "default": 100, "maximum": 1000}}
    ),
)
PICTURE: Final = _operation({200: _json(_PICTURE_EXAMPLE, schema=shapes.PICTURE)})
_UNCHANGED: Final[dict[int | str, Any]] = {304: {"description": "What If-None-Match names is still it"}}
_VERSION: Final = _parameters({"v": {**_STRING, "description": "Of the bytes, as addresses in answers carry it."}})
CONTENT: Final = _operation(
    {200: {"description": "The original", "content": {"image/*": {"schema": _BYTES}}}, **_UNCHANGED}, _VERSION
)
THUMBNAIL: Final = _operation(
    {200: {"description": "WebP", "content": {"image/webp": {"schema": _BYTES}}}, **_UNCHANGED}, _VERSION
)
CHANGE: Final = _operation(
    {200: {**_json(_PICTURE_EXAMPLE, schema=shapes.PICTURE), "headers": _RECEIPT}},
    _body(
        json={
            "schema": {
                "type": "object",
                "properties": {
                    "tags": {"type": "array", "items": _STRING},
                    "owner": _STRING,
                    "attributes": {"type": "object", "additionalProperties": True},
                },
            },
            "example": {"tags": ["lamp"], "attributes": {"price": 35}},
        }
    ),
)
DELETE: Final = _operation({204: {"description": "Forgotten", "headers": _RECEIPT}})
RESTORE: Final = _operation({200: {**_json(_PICTURE_EXAMPLE, schema=shapes.PICTURE), "headers": _RECEIPT}})
HEALTH: Final = _operation({200: _json({"ok": True}, schema=shapes.HEALTH)})
METRICS: Final = _operation({200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}})

INGEST: Final = {
    "status_code": 202,
    "summary": "Ingest a list of pictures: URLs, objects of buckets, files of the server's machine",
    **_operation(
        {202: _json({"job_id": "6f0c"}, "A job")},
        _body(
            json={
                "schema": {
                    "type": "object",
                    "properties": {
                        "urls": {"type": "array", "items": _STRING},
                        "pictures": {
                            "type": "array",
                            "items": {"type": "object"},
                            "description": "Each with url, path or uri, and what is known of it: external_id, owner, "
                            "tags, source_url, attributes, captions.",
                        },
                        "refetch": {"type": "boolean", "default": False},
                        "revive_deleted": {"type": "boolean", "default": False},
                    },
                },
                "example": {
                    "urls": ["https://example.org/a.jpg"],
                    "pictures": [{"url": "https://example.org/b.jpg", "external_id": "b", "tags": ["lamp"]}],
                },
            },
            form={
                "schema": {
                    "type": "object",
                    "properties": {
                        "list": {**_BYTES, "description": "A URL a line, or a JSON object a line."},
                        "refetch": {"type": "boolean", "default": False},
                        "revive_deleted": {"type": "boolean", "default": False},
                    },
                }
            },
        ),
    ),
}
_DOWNLOAD_EXAMPLE: Final = {
    "key": "https://example.org/a.jpg",
    "place": "https://example.org/a.jpg",
    "outcome": "created",
    "reason": "",
    "status": 200,
    "latency_ms": 31,
    "bytes": 48211,
    "content_type": "image/jpeg",
    "sha256": "5d41…",
}
DOWNLOADS: Final = {
    "summary": "What came of each line of a list",
    **_operation(
        {200: _json({"downloads": [_DOWNLOAD_EXAMPLE], "next_cursor": "https://example.org/a.jpg"})},
        _parameters(
            {
                "failed": {"type": "boolean", "default": False, "description": "Only those that failed."},
                "cursor": _STRING,
                "limit": {**_INTEGER, "default": 1000, "maximum": 1000},
            }
        ),
    ),
}
VECTORS: Final = {
    "summary": "Pictures with their vectors",
    **_operation(
        {
            200: _json(
                {
                    "model": "mobilenet@1.1.0",
                    "space": "mobilenet-1-1a2b3c4d",
                    "checksum": "1a2b3c4d…",
                    "dim": 1280,
                    "index": "mobilenet-1-1a2b3c4d.1",
                    "images": [{**_PICTURE_EXAMPLE, "vector": "AACAPwAAAAA="}],
                    "next_cursor": "AAAAAAAAAHs",
                }
            )
        },
        _parameters(
            {"filter": _OPTIONS["filter"], "cursor": _STRING, "limit": {**_INTEGER, "default": 256, "maximum": 256}}
        ),
    ),
}

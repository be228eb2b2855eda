"""How to ask: search, words, neighbours, batches, embeddings, clicks."""

from typing import Any, Final

from omma.filters import ATTRIBUTES, NUMBER_FIELDS, TEXT_FIELDS
from services.gateway.rest.schemas import answers
from services.gateway.rest.schemas.parts import (
    BYTES,
    INTEGER,
    NUMBER,
    PROBLEM,
    STRING,
    TRUTH,
    USER_ID,
    answer,
    body,
    operation,
    parameters,
)
from services.gateway.search.core import MAX_BATCH
from services.gateway.search.query import DEFAULT_K, DEFAULT_TIMEOUT_MS, MAX_K, MAX_TIMEOUT_MS

FILTER: Final = (
    'JSON: {"and": […]}, {"or": […]}, {"not": …}, {field: value}, {field: {"in": […]}}, {field: {"gte", "gt", "lte", '
    f'"lt"}}}}; fields: {", ".join(sorted(TEXT_FIELDS | NUMBER_FIELDS))}, {ATTRIBUTES}<name>. '
    "Whole numbers from 2^53 on are refused: ask for such as text."
)
OPTIONS: Final[dict[str, Any]] = {
    "image_url": {**STRING, "description": "A public http or https URL."},
    "image_id": {**INTEGER, "description": "A stored picture; it leaves itself out of the answer."},
    "text": {**STRING, "maxLength": 2000, "example": "a red chair"},
    "vector": {"type": "array", "items": NUMBER, "description": "Needs space."},
    "space": {**STRING, "description": "Of the vector."},
    "image_url_weight": {**NUMBER, "default": 1},
    "image_id_weight": {**NUMBER, "default": 1},
    "text_weight": {**NUMBER, "default": 1, "description": "May be negative."},
    "vector_weight": {**NUMBER, "default": 1},
    "bbox": {**STRING, "description": "x1,y1,x2,y2 of the upright picture, right and bottom exclusive."},
    "bbox_unit": {**STRING, "enum": ["pixel", "fraction"], "default": "pixel"},
    "k": {**INTEGER, "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K},
    "cursor": {**STRING, "description": "next_cursor of an earlier answer."},
    "filter": {**STRING, "description": FILTER},
    "score_threshold": {
        "anyOf": [{**NUMBER, "minimum": -1, "maximum": 1}, {**STRING, "enum": ["auto"]}],
        "description": "Cosine; auto: the index's own match_score, where it is known and pictures are sought.",
    },
    "near_duplicates": {**STRING, "enum": ["collapse", "drop", "keep"], "default": "collapse"},
    "phash_gate": {**INTEGER, "minimum": 0, "maximum": 64},
    "use_crops": TRUTH,
    "policy": {**STRING, "description": "name or name@version of a re-rank policy."},
    "index": {**STRING, "description": "Pins an index."},
    "effort": {**INTEGER, "minimum": 1, "maximum": 10},
    "exact": TRUTH,
    "explain": TRUTH,
    "timeout_ms": {**INTEGER, "minimum": 1, "maximum": MAX_TIMEOUT_MS, "default": DEFAULT_TIMEOUT_MS},
    "min_coverage": {**NUMBER, "minimum": 0, "maximum": 1, "default": 0},
    "receipts": {"type": "array", "items": STRING, "description": "Waits for these writes."},
    "user_id": {**USER_ID, "description": "For impressions."},
}
SEARCH_FORM: Final = {
    "type": "object",
    "properties": {"image": BYTES, "image_weight": {**NUMBER, "default": 1}, **OPTIONS},
}
SEARCH_JSON: Final = {
    "type": "object",
    "properties": {
        **OPTIONS,
        "filter": {"type": "object", "additionalProperties": True, "description": FILTER},
        "queries": {
            "type": "array",
            "description": "Several things to look for, mixed by weight.",
            "items": {
                "type": "object",
                "properties": {
                    **{
                        name: OPTIONS[name] for name in ("text", "image_id", "image_url", "vector", "bbox", "bbox_unit")
                    },
                    "weight": {**NUMBER, "default": 1},
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
    "no_good_match": False,
}
_SEARCH_EXAMPLES: Final = {
    "stored picture": {"value": {"image_id": 123, "k": 10}},
    "part of a stored picture": {"value": {"image_id": 123, "bbox": "0.2,0.2,0.8,0.8", "bbox_unit": "fraction"}},
    "mixture": {"value": {"queries": [{"image_id": 123}, {"text": "at night", "weight": 0.5}]}},
    "filtered": {"value": {"image_id": 123, "filter": {"and": [{"owner": "ann"}, {"width": {"gte": 640}}]}}},
}
_FOUND: Final[dict[int | str, Any]] = {
    200: answer(_ANSWER_EXAMPLE, "What was found, best first", answers.SEARCH_ANSWER)
}
_WITHOUT_PICTURE: Final = {
    name: schema for name, schema in OPTIONS.items() if name not in ("image_url", "vector", "space")
}

SEARCH: Final = operation(
    _FOUND,
    body(
        form={"schema": SEARCH_FORM, "example": {"bbox": "30,20,220,200", "k": 50}},
        json={"schema": SEARCH_JSON, "examples": _SEARCH_EXAMPLES},
    ),
)
SEARCH_WORDS: Final = operation(_FOUND, parameters(_WITHOUT_PICTURE))
NEIGHBOURS: Final = operation(
    _FOUND, parameters({name: schema for name, schema in _WITHOUT_PICTURE.items() if name not in ("image_id", "text")})
)
SEARCH_BATCH: Final = operation(
    {
        200: answer(
            {"answers": [_ANSWER_EXAMPLE, PROBLEM["example"]]},
            "One answer or problem each, in order",
            answers.record({"answers": answers.several({"anyOf": [answers.SEARCH_ANSWER, PROBLEM]})}),
        )
    },
    body(
        json={
            "schema": {
                "type": "object",
                "required": ["searches"],
                "properties": {"searches": {"type": "array", "maxItems": MAX_BATCH, "items": SEARCH_JSON}},
            },
            "example": {"searches": [{"image_id": 123}, {"image_id": 456, "k": 5}]},
        }
    ),
)
_VECTOR: Final[dict[int | str, Any]] = {
    200: answer({"vector": [0.02, -0.11], "space": "mobilenet-1-1a2b3c4d"}, schema=answers.VECTOR)
}
EMBED_IMAGE: Final = operation(
    _VECTOR,
    body(
        form={
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": BYTES, "bbox": OPTIONS["bbox"], "bbox_unit": OPTIONS["bbox_unit"]},
            }
        }
    ),
)
EMBED_TEXT: Final = operation(
    {
        200: answer(
            {"vector": [0.02, -0.11], "space": "mobilenet-1-1a2b3c4d", "confidence": 0.93}, schema=answers.VECTOR
        )
    },
    body(
        json={
            "schema": {"type": "object", "required": ["text"], "properties": {"text": STRING}},
            "example": {"text": "a red chair"},
        }
    ),
)
CLICK: Final = operation(
    {204: {"description": "Taken"}},
    body(
        json={
            "schema": {
                "type": "object",
                "required": ["displayed_image_id", "rank"],
                "properties": {
                    "user_id": USER_ID,
                    "query_image_id": INTEGER,
                    "displayed_image_id": INTEGER,
                    "rank": INTEGER,
                    "query_id": STRING,
                },
            },
            "example": {"user_id": 42, "query_image_id": 123, "displayed_image_id": 456, "rank": 1},
        }
    ),
)

"""What /openapi.json says of answers: the shapes that clients are generated from."""

from collections.abc import Iterable
from typing import Any, Final

STRING: Final = {"type": "string"}
INTEGER: Final = {"type": "integer"}
NUMBER: Final = {"type": "number"}
TRUTH: Final = {"type": "boolean"}
TEXTS: Final = {"type": "array", "items": STRING}
NUMBERS: Final = {"type": "array", "items": NUMBER}
ANYTHING: Final = {"type": "object", "additionalProperties": True}
_MILLISECONDS: Final = {"type": "object", "additionalProperties": NUMBER}


def record(needed: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these properties."""
    return {"type": "object", "required": list(needed), "properties": {**needed, **(optional or {})}}


def several(one: dict[str, Any]) -> dict[str, Any]:
    """A list of these."""
    return {"type": "array", "items": one}


def by_name(one: dict[str, Any]) -> dict[str, Any]:
    """An object of which each value is one of these."""
    return {"type": "object", "additionalProperties": one}


def or_null(one: dict[str, Any]) -> dict[str, Any]:
    """This, or null while it is not known."""
    return {"oneOf": [one, {"type": "null"}]}


def one_of(words: Iterable[str]) -> dict[str, Any]:
    """One of these words."""
    return {**STRING, "enum": list(words)}


_DUPLICATE: Final = record({"id": INTEGER, "score": NUMBER, "uri": STRING, "thumbnail_url": STRING})
_HIT: Final = record(
    {
        "id": INTEGER,
        "score": {**NUMBER, "description": "Cosine, -1 … 1, higher is better."},
        "uri": STRING,
        "thumbnail_url": STRING,
        "width": INTEGER,
        "height": INTEGER,
    },
    {
        "bbox": {**NUMBERS, "description": "The region that matched, in pixels of the upright picture."},
        "phash_distance": INTEGER,
        "duplicates": several(_DUPLICATE),
        "attributes": ANYTHING,
        "tags": TEXTS,
        "owner": STRING,
        "source_url": STRING,
        "arm": {**STRING, "enum": ["control", "candidate", "both"], "description": "Interleaved: who brought it."},
        "index": {**STRING, "description": "Interleaved: whose score it is; scores order within an arm only."},
        "space": STRING,
    },
)
_EXPLAIN: Final = record(
    {
        "stages_ms": _MILLISECONDS,
        "candidates": INTEGER,
        "policy": {"type": ["string", "null"]},
        "dropped": several(record({"id": INTEGER, "reason": STRING})),
        "shards": several(
            record(
                {"shard": INTEGER, "took_ms": NUMBER},
                {
                    "replica": {"type": ["integer", "null"]},
                    "missing": STRING,
                    "lists_probed": INTEGER,
                    "candidates": INTEGER,
                    "stages_ms": _MILLISECONDS,
                },
            )
        ),
    }
)
SEARCH_ANSWER: Final = record(
    {
        "results": several(_HIT),
        "latency_ms": NUMBER,
        "query_id": STRING,
        "space": STRING,
        "index": STRING,
        "coverage": record({"fraction": NUMBER, "shards_answered": INTEGER, "shards_total": INTEGER}),
        "degraded": TEXTS,
        "no_good_match": {
            **TRUTH,
            "description": "Nothing of it is likely what was sought: no hits, words that were hardly understood, or "
            "none above the index's match_score.",
        },
    },
    {
        "understood": {**NUMBER, "description": "0 … 1, how far the model understood the words."},
        "next_cursor": STRING,
        "explain": _EXPLAIN,
        "variant": record(
            {"rollout": STRING, "arm": {**STRING, "enum": ["control", "candidate", "interleaved"]}},
        ),
    },
)
VECTOR: Final = record(
    {"vector": NUMBERS, "space": STRING, "model_name": STRING, "model_version": STRING}, {"confidence": NUMBER}
)
UPLOADED: Final = record({"id": INTEGER, "sha256": STRING, "receipt": STRING, "duplicate": TRUTH})
PICTURE: Final = record(
    {
        "id": INTEGER,
        "key": STRING,
        "sha256": STRING,
        "uri": STRING,
        "content_url": STRING,
        "thumbnail_url": STRING,
        "version": INTEGER,
        "receipt": STRING,
        "state": {**STRING, "enum": ["pending", "indexed", "dead", "deleted"]},
        "created_at": STRING,
        "bytes": INTEGER,
        "width": INTEGER,
        "height": INTEGER,
        "owner": STRING,
        "tags": TEXTS,
        "source_url": STRING,
        "attributes": ANYTHING,
    },
    {
        "reason": STRING,
        "space": STRING,
        "private": TRUTH,
        "quality_score": {**NUMBER, "description": "0 … 1, the geometric mean of quality; absent until it is indexed."},
        "auto_tags": several(
            record({"tag": STRING, "confidence": NUMBER, "from": several({**STRING, "enum": ["neighbours", "words"]})})
        ),
        "quality": record({"sharpness": NUMBER, "exposure": NUMBER, "size": NUMBER}),
    },
)
PICTURES: Final = record({"images": several(PICTURE), "count": INTEGER}, {"count_capped": TRUTH, "next_cursor": STRING})
HEALTH: Final = record(
    {"ok": TRUTH},
    {
        "embedder": STRING,
        "writes": STRING,
        "version": STRING,
        "misplaced": TEXTS,
        "indexes": several(
            record(
                {
                    "id": STRING,
                    "space": STRING,
                    "model": STRING,
                    "dim": INTEGER,
                    "state": STRING,
                    "shards": INTEGER,
                    "text": TRUTH,
                }
            )
        ),
    },
)
WITH_JOB: Final = record({"job_id": STRING})
_STAMPED: Final = {"model": STRING, "space": STRING, "checksum": STRING, "dim": INTEGER, "index": STRING}
VECTORS: Final = record(
    {**_STAMPED, "images": several({"allOf": [PICTURE, record({"vector": STRING})]})}, {"next_cursor": STRING}
)

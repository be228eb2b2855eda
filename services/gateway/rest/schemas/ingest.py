"""Lists of pictures, and what came of each line."""

from typing import Final

from services.gateway.lists import MAX_PAGE
from services.gateway.rest.schemas import answers, jobs
from services.gateway.rest.schemas.parts import BYTES, INTEGER, STRING, answer, body, operation, parameters
from services.gateway.rest.schemas.vectors import ROW

INGEST: Final = {
    "status_code": 202,
    "summary": "Ingest a list of pictures: URLs, objects of buckets, files of the server's machine",
    **operation(
        {202: answer({"job_id": "6f0c"}, "A job", answers.WITH_JOB)},
        body(
            json={
                "schema": {
                    "type": "object",
                    "properties": {
                        "urls": {"type": "array", "items": STRING},
                        "pictures": {
                            "type": "array",
                            "items": {"type": "object", "additionalProperties": True},
                            "description": "Each with url, path or uri, and what is known of it: external_id, owner, "
                            "tags, source_url, attributes, captions.",
                        },
                        "vectors": {
                            "type": "array",
                            "items": ROW,
                            "description": "In place of the others, with space: as POST /vectors.",
                        },
                        "space": STRING,
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
                        "list": {**BYTES, "description": "A URL a line, or a JSON object a line."},
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
    **operation(
        {
            200: answer(
                {"downloads": [_DOWNLOAD_EXAMPLE], "next_cursor": "https://example.org/a.jpg"}, schema=jobs.DOWNLOADS
            )
        },
        parameters(
            {
                "failed": {"type": "boolean", "default": False, "description": "Only those that failed."},
                "cursor": STRING,
                "limit": {**INTEGER, "default": MAX_PAGE, "maximum": MAX_PAGE},
            }
        ),
    ),
}

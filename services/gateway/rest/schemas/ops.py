"""What operators ask."""

from typing import Final

from fastapi.responses import Response

from omma.catalog.api_key import Role
from services.gateway.rest.schemas import answers
from services.gateway.rest.schemas.answers import (
    ANYTHING,
    INTEGER,
    NUMBER,
    STRING,
    TRUTH,
    by_name,
    one_of,
    or_null,
    record,
    several,
)
from services.gateway.rest.schemas.jobs import in_time
from services.gateway.rest.schemas.parts import answer, operation, tells

HEALTH: Final = operation(
    {200: answer({"ok": True}, schema=answers.HEALTH), 503: answer({"ok": False}, "Not now", answers.HEALTH)}
)
METRICS: Final = {
    "response_class": Response,
    **operation({200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": STRING}}}}),
}

_LETTER: Final = record(
    {
        "image_id": INTEGER,
        "version": INTEGER,
        "tenant": STRING,
        "uri": STRING,
        "kind": STRING,
        "reason": STRING,
        "space": STRING,
        "failed_at_ms": INTEGER,
    }
)
DEAD_LETTERS: Final = tells(record({"dead_letters": several(_LETTER)}))
DEAD_LETTER: Final = tells(_LETTER)
REPLAYED: Final = tells(record({"replayed": several(INTEGER), "dead_again": several(INTEGER)}))

_REPLICA: Final = record(
    {"shard": INTEGER, "replica": INTEGER},
    {
        "error": {**STRING, "description": "Why it does not answer; then nothing else is known of it."},
        "index": STRING,
        "space": STRING,
        "shards": INTEGER,
        "live": INTEGER,
        "pictures": INTEGER,
        "dead_rows": INTEGER,
        "head_rows": INTEGER,
        "segments": INTEGER,
        "codebook": STRING,
        "lag": {**INTEGER, "description": "Records that are not applied yet."},
        "ready": TRUTH,
        "stale": TRUTH,
        "drift": or_null(ANYTHING),
    },
)
STATS: Final = tells(
    record(
        {
            "model": record({"name": STRING, "space": STRING, "dim": INTEGER, "text": TRUTH}),
            "catalog": by_name(INTEGER),
            "waiting": INTEGER,
            "shards": several(_REPLICA),
        }
    )
)

_KEY: Final = {
    "id": STRING,
    "name": STRING,
    "role": one_of(role.value for role in Role),
    "tenant": STRING,
    "created_at_ms": INTEGER,
    "revoked": TRUTH,
}
KEY: Final = tells(record(_KEY))
KEYS: Final = tells(record({"keys": several(record(_KEY))}))
MADE_KEY: Final = tells(record({"secret": STRING, **_KEY}), 201, "Its secret, this once")

_SESSION: Final = record(
    {"signed_in": TRUTH},
    {
        "tenant": STRING,
        "role": one_of(role.value for role in Role),
        "name": STRING,
        "token": {**STRING, "description": "For `Omma-Csrf` of every write."},
        "ends_at": {**INTEGER, "description": "Seconds since 1970."},
    },
)
SESSION: Final = tells(_SESSION)
SIGNED_IN: Final = tells(_SESSION, 201, "A cookie stands for the key")

_RECORDS: Final = record(
    {
        "topic": STRING,
        "partition": INTEGER,
        "records": several(ANYTHING),
        "read_to": INTEGER,
        "end": INTEGER,
        "cut": TRUTH,
    }
)
_TRACED: Final = record(
    {
        "image_id": INTEGER,
        "bucket": INTEGER,
        "shard": INTEGER,
        "row": or_null(ANYTHING),
        "blobs": or_null(by_name(ANYTHING)),
        "events": _RECORDS,
        "vectors": _RECORDS,
        "replicas": several(ANYTHING),
        "dead_letter": or_null(ANYTHING),
    }
)
TRACE: Final = tells(record({"pictures": several(_TRACED)}))
VERIFIED: Final = in_time(
    record(
        {
            "clean": TRUTH,
            "summary": STRING,
            "settled": TRUTH,
            "index": STRING,
            "rows": by_name(INTEGER),
            "replicas": several(ANYTHING),
            "differences": several(ANYTHING),
            "took_seconds": NUMBER,
        },
        {"buckets": INTEGER, "bucket_details": INTEGER, "originals": INTEGER, "originals_waiting": INTEGER},
    )
)
PRESIGNED: Final = tells(
    record(
        {
            "upload": {**STRING, "description": "Its name, for POST /images/ingest."},
            "method": STRING,
            "url": STRING,
            "headers": {**by_name(STRING), "description": "Of the PUT, all of them."},
            "expires_in_seconds": NUMBER,
        }
    )
)

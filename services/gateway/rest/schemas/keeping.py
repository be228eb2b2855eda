"""What administrators are answered of changes, searches and room: /audit, /insights, /quotas."""

from typing import Final

from services.gateway.rest.schemas.answers import INTEGER, NUMBER, STRING, or_null, record, several
from services.gateway.rest.schemas.parts import tells

_SHARE: Final = {**NUMBER, "minimum": 0, "maximum": 1}
_CHANGE: Final = record(
    {
        "at": {**STRING, "format": "date-time"},
        "tenant": STRING,
        "by": {**STRING, "description": "`key:` and the key's id, `token:` and its subject, or owner."},
        "name": {**STRING, "description": "Of the key, or of the token's bearer."},
        "call": {**STRING, "description": "Method and route, or service and RPC."},
        "object": {**STRING, "description": "What it was about, as `picture 12`; empty where nothing is named."},
        "outcome": {**STRING, "description": "HTTP's status, 499 where the caller hung up, or gRPC's."},
        "request_id": STRING,
    }
)
_DAY: Final = record(
    {
        "day": {**STRING, "format": "date", "description": "UTC."},
        "index": STRING,
        "searches": INTEGER,
        "zero_hits": INTEGER,
        "zero_hit_rate": _SHARE,
        "clicked": INTEGER,
        "ctr": _SHARE,
        "median_seconds_to_click": or_null(NUMBER),
    }
)
_QUOTA: Final = record(
    {
        "tenant": {**STRING, "description": "Or *, for tenants without limits of their own."},
        "max_pictures": or_null(INTEGER),
        "max_bytes": or_null(INTEGER),
        "pictures": INTEGER,
        "bytes": INTEGER,
    }
)

AUDIT: Final = tells(record({"audit": several(_CHANGE)}, {"next_cursor": STRING}))
INSIGHTS: Final = tells(
    record({"insights": several(_DAY), "sampled": {**_SHARE, "description": "Of searches, those that are recorded."}})
)
QUOTAS: Final = tells(record({"quotas": several(_QUOTA)}))
QUOTA: Final = tells(_QUOTA)

"""What curators are answered."""

from typing import Final

from omma.catalog.feedback import FeedbackAction
from services.gateway.rest.schemas.answers import INTEGER, NUMBER, STRING, TEXTS, one_of, record, several
from services.gateway.rest.schemas.jobs import in_time
from services.gateway.rest.schemas.parts import tells

_IDS: Final = several(INTEGER)
_PAGED: Final = {"next_cursor": STRING}
_GROUP: Final = record(
    {
        "ids": _IDS,
        "keep": {**INTEGER, "description": "The best to look at, by quality_score; of equals the largest."},
        "distances": {**_IDS, "description": "Bits of 256 to the nearest of the group, in the order of ids."},
    }
)
_SAID: Final = record(
    {
        "id": INTEGER,
        "image_id": INTEGER,
        "action": one_of(action.value for action in FeedbackAction),
        "at": {**STRING, "format": "date-time"},
    },
    {
        "note": STRING,
        "query_id": STRING,
        "query_image_id": INTEGER,
        "uri": STRING,
        "query_uri": STRING,
        "given_by": STRING,
    },
)
_CLUSTER: Final = record(
    {"ids": {**_IDS, "description": "Nearest to the middle first."}, "representative": INTEGER},
    {"label": {**STRING, "description": "A tag that most of them have, else the model's word for them."}},
)

DUPLICATES: Final = tells(record({"groups": several(_GROUP)}, _PAGED))
ANOMALIES: Final = tells(
    record({"images": several(record({"id": INTEGER, "score": NUMBER, "reasons": TEXTS}))}, _PAGED)
)
FEEDBACK: Final = tells(record({"feedback": several(_SAID)}, _PAGED))
CLUSTERS: Final = in_time(
    record(
        {
            "clusters": several(_CLUSTER),
            "not_found": {**INTEGER, "description": "Pictures that the index does not hold."},
        }
    )
)

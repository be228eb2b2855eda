"""What is answered of work that runs beside the service."""

from typing import Any, Final

from omma.catalog.job import JobState
from services.gateway.rest.schemas.answers import (
    ANYTHING,
    INTEGER,
    NUMBER,
    STRING,
    TRUTH,
    WITH_JOB,
    one_of,
    or_null,
    record,
    several,
)
from services.gateway.rest.schemas.parts import tells

COUNTED: Final = (
    "created",
    "changed",
    "retried",
    "unchanged",
    "left_deleted",
    "vanished",
    "missing",
    "skipped",
    "unreadable",
    "dead",
    "captions_passed_over",
)
_JOB: Final = {
    "job_id": STRING,
    "kind": STRING,
    "state": one_of(state.value for state in JobState),
    "error": STRING,
    "source": STRING,
    "folder": STRING,
    "seconds": NUMBER,
    "total": {**INTEGER, "description": "0 while it is not known."},
    "done": INTEGER,
    "waiting": {**INTEGER, "description": "Pictures of any job that wait to be embedded."},
    "pictures_per_second": NUMBER,
    "remaining_seconds": or_null(NUMBER),
    **dict.fromkeys(COUNTED, INTEGER),
}
STARTED: Final = tells(WITH_JOB, 202, "A job")
JOB: Final = tells(record({**_JOB, "result": {**ANYTHING, "description": "By kind; empty until it is done."}}))
JOBS: Final = tells(record({"jobs": several(record(_JOB))}))
ERASED: Final = tells(record({"job_id": STRING, "pictures": INTEGER, "more": TRUTH}), 202, "A job")
DOWNLOADS: Final = record(
    {
        "downloads": several(
            record(
                {
                    "key": STRING,
                    "place": STRING,
                    "outcome": STRING,
                    "reason": STRING,
                    "status": INTEGER,
                    "latency_ms": NUMBER,
                    "bytes": INTEGER,
                    "content_type": STRING,
                    "sha256": {"type": ["string", "null"]},
                }
            )
        )
    },
    {"next_cursor": STRING},
)


def in_time(result: dict[str, Any]) -> dict[str, Any]:
    """Of a route that answers with a job's result where it is there in time, else with the job."""
    told = tells(result)
    later = tells(WITH_JOB, 202, "The job, whose `result` it becomes")
    return {**told, "responses": {**told["responses"], **later["responses"]}}

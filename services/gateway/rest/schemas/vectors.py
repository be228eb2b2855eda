"""Vectors that callers bring."""

from typing import Final

from services.gateway.rest.schemas import answers
from services.gateway.rest.schemas.parts import ATTRIBUTES_ARE, BYTES, STRING, answer, body, operation

ROW: Final = {
    "type": "object",
    "properties": {
        "id": {**STRING, "description": "Yours: the same id again replaces its vector."},
        "vector": {
            "type": "array",
            "items": {"type": "number"},
            "description": "As many as the space has.",
        },
        "uri": {**STRING, "description": "Where its picture lies; it is not read."},
        "owner": STRING,
        "tags": {"type": "array", "items": STRING},
        "source_url": STRING,
        "attributes": {"type": "object", "additionalProperties": True, "description": ATTRIBUTES_ARE},
    },
}
_OPTIONS: Final = {
    "space": {**STRING, "description": "Of POST /spaces, or of a model."},
    "revive_deleted": {"type": "boolean", "default": False},
}
_EXAMPLE: Final = {
    "space": "products",
    "vectors": [{"id": "sku-7", "vector": [0.1, 0.3, -0.2], "tags": ["lamp"], "attributes": {"price": 40}}],
}
GIVE: Final = {
    "status_code": 202,
    "summary": "Ingest vectors that you computed",
    **operation(
        {202: answer({"job_id": "6f0c"}, "A job", answers.WITH_JOB)},
        body(
            json={
                "schema": {"type": "object", "properties": {"vectors": {"type": "array", "items": ROW}, **_OPTIONS}},
                "example": _EXAMPLE,
            },
            form={
                "schema": {
                    "type": "object",
                    "properties": {
                        "vectors": {**BYTES, "description": "A .npy file: float16, float32 or float64 of [n, dim]."},
                        "ids": {**BYTES, "description": "An id a line."},
                        "items": {**BYTES, "description": "In place of ids: a JSON object a line, with its id."},
                        **_OPTIONS,
                    },
                }
            },
        ),
    ),
}

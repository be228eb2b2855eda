"""How to ask in the words of other designs."""

from typing import Any, Final

from services.gateway.rest.schemas import answers
from services.gateway.rest.schemas.parts import INTEGER, NUMBER, STRING, answer, body, operation, parameters
from services.gateway.rest.schemas.search import OPTIONS, SEARCH_FORM, SEARCH_JSON
from services.gateway.search.query import MAX_K

_MORE: Final = {
    "text_query": {**STRING, "maxLength": 2000, "description": "text."},
    "limit": {**INTEGER, "minimum": 1, "maximum": MAX_K, "default": 10, "description": "k."},
    "include_payload": {"type": "boolean", "default": True},
}
_RESULT: Final = answers.record(
    {"id": INTEGER, "score": NUMBER, "preview_url": STRING, "filename": STRING, "source_domain": STRING},
    {"payload": {"type": "object", "additionalProperties": True}},
)
_KEYWORDS: Final = answers.several(
    answers.record(
        {
            "keyword": STRING,
            "confidence": NUMBER,
            "from": answers.several({**STRING, "enum": ["neighbours", "words"]}),
        }
    )
)
_MODEL: Final = {"model_name": STRING, "model_version": STRING}
_EXAMPLE: Final = {
    "results": [
        {
            "id": 123,
            "score": 0.913204,
            "preview_url": "/images/123/thumbnail?v=9f86d081884c7d65",
            "filename": "lamp.jpg",
            "source_domain": "shop.example",
        }
    ],
    "keywords": [{"keyword": "lamp", "confidence": 0.91, "from": ["neighbours", "words"]}],
    "model_name": "omma-mini",
    "model_version": "1.3.0",
}
_FOUND: Final[dict[int | str, Any]] = {
    200: answer(
        _EXAMPLE,
        "What was found, best first",
        answers.record({"results": answers.several(_RESULT), "keywords": _KEYWORDS, **_MODEL}),
    )
}


def _with_more(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], **_MORE}}


SIMILAR: Final = operation(
    _FOUND,
    body(
        json={"schema": _with_more(SEARCH_JSON), "example": {"text_query": "a red chair", "limit": 5}},
        form={"schema": _with_more(SEARCH_FORM), "example": {"limit": 5}},
    ),
)
SIMILAR_WORDS: Final = operation(
    _FOUND,
    parameters({**_MORE, "text_query": {**_MORE["text_query"], "example": "a red chair"}, "filter": OPTIONS["filter"]}),
)
IMAGE: Final = operation(
    {
        200: answer(
            {
                "id": 123,
                "filename": "lamp.jpg",
                "similar_images": _EXAMPLE["results"],
                "keywords": _EXAMPLE["keywords"],
            },
            schema=answers.record(
                {"id": INTEGER, "similar_images": answers.several(_RESULT), "keywords": _KEYWORDS, **_MODEL}
            ),
        )
    }
)

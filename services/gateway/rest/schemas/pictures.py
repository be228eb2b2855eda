"""Pictures one by one and as a list, with their vectors too."""

from typing import Any, Final

from fastapi.responses import Response

from services.gateway.pictures.core import MAX_ASKED, MAX_PAGE
from services.gateway.pictures.vectors import MAX_VECTORS
from services.gateway.rest.schemas import answers
from services.gateway.rest.schemas.parts import (
    ATTRIBUTES_ARE,
    BYTES,
    INTEGER,
    STRING,
    answer,
    body,
    operation,
    parameters,
)
from services.gateway.rest.schemas.search import OPTIONS

_UPLOAD_EXAMPLE: Final = {"id": 123, "sha256": "9f86d081…", "receipt": "123@1", "duplicate": False}
PICTURE_EXAMPLE: Final = {
    "id": 123,
    "key": "sku-7",
    "version": 1,
    "state": "indexed",
    "tags": ["lamp"],
    "receipt": "123@1",
}
_RECEIPT: Final = {"Omma-Receipt": {"schema": STRING, "description": "For receipts of a search that shall see it."}}
_PRIVATE: Final = {"type": "boolean", "description": "Its owner and administrators see it, nobody else."}
UPLOAD: Final = operation(
    {
        201: answer(_UPLOAD_EXAMPLE, "Durable", answers.UPLOADED),
        200: answer({**_UPLOAD_EXAMPLE, "duplicate": True}, "There already", answers.UPLOADED),
    },
    body(
        form={
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": BYTES,
                    "external_id": {**STRING, "description": "Your key; without one the sha256 is the key."},
                    "owner": STRING,
                    "tags": {**STRING, "description": "With commas between them, or repeated."},
                    "source_url": STRING,
                    "attributes": {**STRING, "description": ATTRIBUTES_ARE},
                    "private": _PRIVATE,
                },
            },
            "example": {"external_id": "sku-7", "tags": "lamp,brass", "attributes": '{"price": 40}'},
        }
    ),
)
_SHA256: Final = "13bab6d0796842b27e41f2d43460d42bf41501f877fa8eb7d7870dea4eb0ad47"
KNOWN: Final = operation(
    {
        200: answer(
            {"known": {_SHA256: 123}},
            "The oldest picture of each sha256 that is known",
            answers.record({"known": answers.by_name(INTEGER)}),
        )
    },
    body(
        json={
            "schema": {
                "type": "object",
                "required": ["sha256"],
                "properties": {"sha256": {"type": "array", "minItems": 1, "maxItems": MAX_ASKED, "items": STRING}},
            },
            "example": {"sha256": [_SHA256]},
        }
    ),
)
LIST: Final = operation(
    {200: answer({"images": [PICTURE_EXAMPLE], "count": 1}, schema=answers.PICTURES)},
    parameters(
        {
            "filter": OPTIONS["filter"],
            "cursor": STRING,
            "limit": {**INTEGER, "default": 100, "maximum": MAX_PAGE},
            "order": {**STRING, "enum": ["oldest", "newest"], "default": "oldest"},
        }
    ),
)
PICTURE: Final = operation({200: answer(PICTURE_EXAMPLE, schema=answers.PICTURE)})
_UNCHANGED: Final[dict[int | str, Any]] = {304: {"description": "What If-None-Match names is still it"}}
_VERSION: Final = parameters({"v": {**STRING, "description": "Of the bytes, as addresses in answers carry it."}})
_NO_JSON: Final = {"response_class": Response}
CONTENT: Final = _NO_JSON | operation(
    {200: {"description": "The original", "content": {"image/*": {"schema": BYTES}}}, **_UNCHANGED}, _VERSION
)
THUMBNAIL: Final = _NO_JSON | operation(
    {200: {"description": "WebP", "content": {"image/webp": {"schema": BYTES}}}, **_UNCHANGED}, _VERSION
)
CHANGE: Final = operation(
    {200: {**answer(PICTURE_EXAMPLE, schema=answers.PICTURE), "headers": _RECEIPT}},
    body(
        json={
            "schema": {
                "type": "object",
                "properties": {
                    "tags": {"type": "array", "items": STRING},
                    "owner": STRING,
                    "attributes": {"type": "object", "additionalProperties": True, "description": ATTRIBUTES_ARE},
                    "private": _PRIVATE,
                },
            },
            "example": {"tags": ["lamp"], "attributes": {"price": 35}},
        }
    ),
)
DELETE: Final = operation({204: {"description": "Forgotten", "headers": _RECEIPT}})
RESTORE: Final = operation({200: {**answer(PICTURE_EXAMPLE, schema=answers.PICTURE), "headers": _RECEIPT}})
VECTORS: Final = {
    "summary": "Pictures with their vectors",
    **operation(
        {
            200: answer(
                {
                    "model": "mobilenet@1.1.0",
                    "space": "mobilenet-1-1a2b3c4d",
                    "checksum": "1a2b3c4d…",
                    "dim": 1280,
                    "index": "mobilenet-1-1a2b3c4d.1",
                    "images": [{**PICTURE_EXAMPLE, "vector": "AACAPwAAAAA="}],
                    "next_cursor": "AAAAAAAAAHs",
                },
                schema=answers.VECTORS,
            )
        },
        parameters(
            {
                "filter": OPTIONS["filter"],
                "cursor": STRING,
                "limit": {**INTEGER, "default": MAX_VECTORS, "maximum": MAX_VECTORS},
                "index": {**STRING, "description": "The live one unless told."},
            }
        ),
    ),
}

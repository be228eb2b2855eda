"""What the pages of the OpenAPI document are put together from."""

from typing import Any, Final

from omma.written import NUMBER as NUMBER_FORM
from omma.written import WHOLE
from services.gateway.search.query import MAX_USER_ID_CHARACTERS

STRING: Final = {"type": "string"}
INTEGER: Final = {"type": "integer"}
NUMBER: Final = {"type": "number"}
TRUTH: Final = {"type": "boolean", "default": False}
USER_ID: Final = {"oneOf": [{"type": "string", "maxLength": MAX_USER_ID_CHARACTERS}, {"type": "integer"}]}
BYTES: Final = {"type": "string", "format": "binary"}
ATTRIBUTES_ARE: Final = (
    "A JSON object of texts, numbers and truth values. What only looks like a number, such as another system's id, is "
    "better a text: no filter asks for whole numbers from 2^53 on."
)

PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "kind", "request_id"],
    "properties": {
        "type": STRING,
        "title": STRING,
        "status": INTEGER,
        "detail": STRING,
        "kind": STRING,
        "field": STRING,
        "limit": NUMBER,
        "request_id": STRING,
    },
    "example": {
        "type": "urn:omma:problem:invalid_query",
        "title": "The query is invalid",
        "status": 422,
        "detail": "k must be 1 to 1000.",
        "kind": "invalid_query",
        "field": "k",
        "limit": 1000,
        "request_id": "6d1c3f0e9f1c4f5f8a2b7f4f0c9f9c11",
    },
}
_A_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": PROBLEM}},
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"4XX": _A_PROBLEM, "5XX": _A_PROBLEM}


def answer(example: Any, description: str = "OK", schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """schema: of the answer, for generated clients."""
    return {
        "description": description,
        "content": {"application/json": {"schema": schema or {"type": "object"}, "example": example}},
    }


def body(**content: dict[str, Any]) -> dict[str, Any]:
    types = {"json": "application/json", "form": "multipart/form-data"}
    return {"requestBody": {"required": True, "content": {types[name]: one for name, one in content.items()}}}


def parameters(names: dict[str, Any]) -> dict[str, Any]:
    """Of a query, where numbers are written in digits."""
    return {"parameters": [{"in": "query", "name": name, "schema": _written(one)} for name, one in names.items()]}


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    forms = {"integer": WHOLE, "number": NUMBER_FORM}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_written(one) for one in schema["anyOf"]]}
    return {**schema, "pattern": f"^{forms[schema['type']]}$"} if schema.get("type") in forms else schema


def operation(ok: dict[int | str, Any], extra: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"responses": {**ok, **PROBLEMS}, "openapi_extra": extra or {}}


def tells(schema: dict[str, Any], status: int = 200, description: str = "OK") -> dict[str, Any]:
    """Of a route whose answer has this shape."""
    content = {"application/json": {"schema": schema}}
    return {"response_model": None, "responses": {status: {"description": description, "content": content}}}

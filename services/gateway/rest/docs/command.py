"""The command that tries a call, from the document's examples. Pure."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from services.gateway.rest.docs.document import Document, Operation

_FORM: Final = "multipart/form-data"
_JSON: Final = "application/json"
_IN_PATH: Final[Mapping[str, str]] = {"image_id": "123"}
_FILE: Final = "@picture.jpg"


def curl(document: Document, one: Operation) -> str:
    """One line for a shell in which OMMA_URL is the server."""
    path = one.path
    query = []
    for parameter in one.said.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", _IN_PATH.get(name, name.upper()))
        elif "example" in parameter.get("schema", {}):
            query.append(f"{name}={quote_plus(str(parameter['schema']['example']))}")
    address = path + (f"?{'&'.join(query)}" if query else "")
    words = ["curl", *([] if one.method == "GET" else ["-X", one.method]), *_body(document, one)]
    return f'{shlex.join(words)} "$OMMA_URL{address}"'


def _body(document: Document, one: Operation) -> list[str]:
    contents = document.contents(one)
    if _FORM in contents:
        schema = document.followed(contents[_FORM]["schema"])
        files = {name: _FILE for name, said in schema.get("properties", {}).items() if said.get("format") == "binary"}
        fields = {**files, **contents[_FORM].get("example", {})}
        return [word for name, value in fields.items() for word in ("-F", f"{name}={value}")]
    if _JSON in contents:
        example = _example(document, contents[_JSON])
        return ["-H", f"content-type: {_JSON}", "-d", json.dumps(example, ensure_ascii=False)]
    return []


def _example(document: Document, content: Mapping[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    schema = document.followed(content["schema"])
    needed = {name: name for name in schema.get("required", ())}
    return schema.get("example", needed)

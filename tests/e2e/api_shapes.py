"""What the OpenAPI document says of answers and routes, held against what was answered and asked."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from tests.e2e.api_examples import Answer, Example


def shapeless(openapi: Mapping[str, Any]) -> list[str]:
    """Answers in JSON of which the document says nothing."""
    return [
        f"{method.upper()} {path} {status}"
        for path, methods in openapi["paths"].items()
        for method, said in methods.items()
        for status, answer in said["responses"].items()
        if "json" in "".join(answer.get("content", {}))
        and not {"properties", "$ref"} & next(iter(answer["content"].values())).get("schema", {}).keys()
    ]


def misfit(openapi: Mapping[str, Any], example: Example, got: Answer) -> str:
    """How an answer in JSON is otherwise than the OpenAPI document says; "" where it fits."""
    path = urlsplit(example.call.path).path.removeprefix("/api")
    found = [
        methods[example.call.method.lower()]["responses"]
        for template, methods in openapi["paths"].items()
        if example.call.method.lower() in methods and _pattern(template).fullmatch(path)
    ]
    if got.document is None or not found:
        return ""
    answers = found[0]
    answer = answers.get(str(got.status)) or answers.get(f"{got.status // 100}XX") or {}
    schema = next((one["schema"] for one in answer.get("content", {}).values()), None)
    if schema is None:
        return f"{got.status} is not in the document"
    try:
        jsonschema_rs.validate({**schema, "components": openapi["components"]}, got.document)
    except jsonschema_rs.ValidationError as error:
        return str(error)[:2_000]
    return ""


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))


def without_example(openapi: Mapping[str, Any], asked: Iterable[tuple[str, str]]) -> list[str]:
    """Routes of the document that nothing asked, by method and path."""
    lacking = []
    for template, methods in openapi["paths"].items():
        pattern = _pattern(template)
        for method in methods:
            if not any(one == method.upper() and pattern.fullmatch(path) for one, path in asked):
                lacking.append(f"{method.upper()} {template}")
    return lacking

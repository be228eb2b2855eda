"""An OpenAPI document as the page reads it: references followed, schemas in words. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_BOUNDS: Final = (("minimum", "at least"), ("maximum", "at most"), ("maxLength", "at most, in characters,"))


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. said: its own part of the document."""

    method: str
    path: str
    said: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.said.get("operationId", f"{self.method} {self.path}"))

    @property
    def tag(self) -> str:
        return str(next(iter(self.said.get("tags", ())), "other"))

    @property
    def about(self) -> str:
        return str(self.said.get("description", ""))

    @property
    def summary(self) -> str:
        """The first sentence of what is said of it; the summary where nothing is."""
        first = self.about.partition("\n")[0].partition(". ")[0]
        return first or str(self.said.get("summary", ""))


class Document:
    """openapi: as FastAPI writes it."""

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        self._openapi = openapi

    def operations(self) -> Iterator[Operation]:
        for path, said in self._openapi["paths"].items():
            for method in _METHODS:
                if method in said:
                    yield Operation(method.upper(), path, said[method])

    def parameters(self, one: Operation) -> list[tuple[str, str, str]]:
        """Name, kind and what is said of each."""
        return [
            (parameter["name"], self._kind(parameter.get("schema", {})), self._about(parameter))
            for parameter in one.said.get("parameters", ())
            if parameter["in"] in ("path", "query")
        ]

    def bodies(self, one: Operation) -> dict[str, Mapping[str, Any]]:
        """The schema of each media type that it takes."""
        return {name: self.followed(content["schema"]) for name, content in self.contents(one).items()}

    def contents(self, one: Operation) -> Mapping[str, Any]:
        """What the document says of each media type that it takes."""
        contents: Mapping[str, Any] = one.said.get("requestBody", {}).get("content", {})
        return contents

    def properties(self, schema: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Name, kind and what is said of each."""
        required = schema.get("required", ())
        return [
            (name, self._kind(one) + (", needed" if name in required else ""), self._about(one))
            for name, one in schema.get("properties", {}).items()
        ]

    def answers(self, one: Operation) -> list[tuple[str, str]]:
        """Status and what it means."""
        return [(status, said.get("description", "")) for status, said in one.said.get("responses", {}).items()]

    def answer_examples(self, one: Operation) -> Iterator[str]:
        """Of answers that are no problem, as JSON."""
        for status, said in one.said.get("responses", {}).items():
            example = said.get("content", {}).get("application/json", {}).get("example")
            if status.startswith("2") and example is not None:
                yield json.dumps(example, indent=2, ensure_ascii=False)

    def followed(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference refers to."""
        while "$ref" in schema:
            schema = self._openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _kind(self, schema: Mapping[str, Any]) -> str:
        schema = self.followed(schema)
        for several in ("anyOf", "oneOf"):
            if several in schema:
                kinds = [self._kind(one) for one in schema[several] if one.get("type") != "null"]
                return " or ".join(kinds)
        kind = str(schema.get("type", "anything"))
        if kind == "array":
            kind = f"list of {self._kind(schema.get('items', {}))}"
        elif schema.get("format") == "binary":
            kind = "file"
        said = [kind, *(f"{words} {schema[name]:,}" for name, words in _BOUNDS if name in schema)]
        if "enum" in schema:
            said.append(f"one of {', '.join(map(str, schema['enum']))}")
        if schema.get("default") is not None:
            said.append(f"{json.dumps(schema['default'])} unless given")
        return ", ".join(said)

    def _about(self, said: Mapping[str, Any]) -> str:
        return str(said.get("description") or self.followed(said.get("schema", said)).get("description", ""))

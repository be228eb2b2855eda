"""docs/API.md is true: each public route has an example there, answered as the example says and as OpenAPI does."""

import pytest

from tests.e2e.api_examples import DOCUMENT, differences, documented_server, examples, faults
from tests.e2e.api_shapes import misfit, shapeless, without_example

pytestmark = pytest.mark.timeout(600)


async def test_every_example_is_answered_as_the_document_says() -> None:
    async with documented_server() as (shell, openapi):
        for example in examples(DOCUMENT.read_text()):
            got = await shell.run(example)
            assert faults(example, got) == [], (f"docs/API.md:{example.line}", got)
            assert not misfit(openapi, example, got), (f"docs/API.md:{example.line}", misfit(openapi, example, got))
        assert shapeless(openapi) == [], "say what these answers look like, in services/gateway/rest/schemas"
        lacking = without_example(openapi, shell.asked)
        assert lacking == [], "write a command for each into docs/API.md; `make api-docs` writes the answers"


def test_shapes_are_compared_by_fields_types_and_emptiness() -> None:
    expected = {"a": 1, "b": [{"c": "x"}, {"c": "x", "d": True}]}
    assert differences(expected, {"a": 2.5, "b": [{"c": "y"}] * 9}) == []
    assert differences(expected, {"a": "2", "b": []}) == [
        "answer.a is str, in the document number",
        "answer.b has 0 items, in the document 2",
    ]
    assert differences(expected, {"b": [{"c": "y", "e": 1}], "f": 0}) == [
        "answer.a is missing",
        "answer.b[].e is not in the document",
        "answer.f is not in the document",
    ]
    assert differences({"a": "…", "…": "…"}, {"a": [], "b": 1}) == []

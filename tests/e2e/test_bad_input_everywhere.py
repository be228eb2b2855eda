"""Bad values in every place that callers fill, over REST and gRPC: never a fault of ours, never our insides."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast
from urllib.parse import quote

import grpc
import httpx
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from omma import AsyncClient
from omma.errors import InvalidQuery
from omma.v1 import search_pb2
from tests.e2e.bad_input import GOOD, Server, assert_problem, server, unharmed

__all__ = ["server", "unharmed"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

VALUES: Final[tuple[Any, ...]] = (
    True, False, 0, -1, 1.5, 1e308, 2**63, 2**64, 10**400, "", " ", "\0", "\ud800", "1_000", "NaN", "a" * 3_000,
    [], [[]], [None], ["\ud800"], [True], {}, {"a": {"b": 1}}, {"\ud800": 1},
)  # fmt: skip
PATHS: Final = ("0", "-1", "1.5", str(2**63), str(2**64), "9" * 400, "abc", "%00", "%20", "1_0", quote("\u0661"), "..")
QUERIES: Final = ("", "\0", "0", "-1", "1.5", str(2**64), "9" * 400, "NaN", "1_0", "{", "[", "\u0661", "a" * 5_000)
BODIES: Final = (b"", b"null", b"1", b'"a"', b"[]", b"{", b"\xff", b'{"a": 1}', b"[" * 100_000)
INSIDES: Final = re.compile(
    r"Traceback|object at 0x|<class|Error\(|Exception|asyncio|grpc|ipv4:|127\.0\.0\.1:\d|sqlite|asyncpg|\.py\b|/tmp/"
    r"|None|True\b|\b[A-Z]\w+\(\w+=|<\w+\.\w+: "
)


def assert_answered(answer: httpx.Response, what: object) -> None:
    if answer.status_code >= 400:
        assert answer.status_code < 500, (what, answer.text)
        assert_problem(answer, answer.status_code)
        problem = answer.json()
        said = problem["detail"].replace(answer.request.url.path, "")
        assert not INSIDES.search(said), (what, problem)


async def operations(server: Server) -> list[tuple[str, str, dict[str, Any]]]:
    openapi = (await server.rest.get("/openapi.json")).json()
    schemas = openapi["components"]["schemas"]
    found = []
    for path, methods in openapi["paths"].items():
        for method, said in methods.items():
            for content in said.get("requestBody", {}).get("content", {}).values():
                if name := content["schema"].get("$ref", "").rpartition("/")[2]:
                    content["schema"] = schemas[name]
            found.append((method.upper(), path, said))
    return found


def harmless(method: str, path: str) -> bool:
    """What changes nothing whatever is sent to it: the rest would be asked for what it may do."""
    return (method, path) not in {("DELETE", "/images/{image_id}"), ("POST", "/images"), ("POST", "/verify")}


async def test_bad_values_in_paths_and_queries(server: Server) -> None:
    for method, path, said in await operations(server):
        for value in PATHS if "{" in path else ():
            if harmless(method, path):
                answer = await server.rest.request(method, re.sub(r"\{\w+\}", value, path), json={})
                assert_answered(answer, (method, path, value))
        named = [one["name"] for one in said.get("parameters", ()) if one["in"] == "query"]
        for name in [*named, "nonsense"] if method == "GET" else ():
            for value in QUERIES:
                filled = re.sub(r"\{\w+\}", "1", path)
                assert_answered(await server.rest.get(filled, params={name: value}), (path, name, value))


OTHERWISE: Final = ("1_0", "1.0", " 1", "1 ", "+1", "\u0661", "1e0", "True")
"""What Python or pydantic takes for a whole number, and nobody wrote."""


async def test_numbers_are_read_as_they_are_written(server: Server) -> None:
    """Of every parameter of every route that the document calls a number: 1_0 is not the picture 10."""
    kinds = {
        "integer": OTHERWISE,
        "number": [one for one in OTHERWISE if one not in ("1.0", "1e0")],
        "date": ("0", "86400"),
    }
    walked = set()
    for method, path, said in await operations(server):
        for one in said.get("parameters", ()):
            of = {schema.get("format", schema.get("type")) for schema in one["schema"].get("anyOf", [one["schema"]])}
            for text in next((kinds[kind] for kind in kinds if kind in of), ()):
                assert re.search(r'"pattern": "\^(-\?)?\(?\[0-9\]', json.dumps(one)), (method, path, one)
                filled = re.sub(r"\{\w+\}", quote(text) if one["in"] == "path" else "999", path)
                params = {one["name"]: text} if one["in"] == "query" else {}
                answer = await server.rest.request(method, filled, params=params)
                assert answer.status_code == 422, (method, path, one["name"], text, answer.text)
                assert answer.json().get("field") == one["name"], (method, path, one["name"], text, answer.text)
                walked.add((method, path, one["name"]))
    assert len(walked) > 40, walked
    async with AsyncClient(str(server.rest.base_url)) as client:
        for text in OTHERWISE:
            for call in (client.get, client.delete, client.restore, client.content, client.thumbnail):
                with pytest.raises(InvalidQuery) as refused:
                    await call(cast(Any, text))
                assert refused.value.field == "image_id"


async def test_bad_values_in_json_bodies(server: Server) -> None:
    for method, path, said in await operations(server):
        schema = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None or not harmless(method, path) or path == "/keys":
            continue
        filled = re.sub(r"\{\w+\}", "999", path)
        for body in BODIES:
            answer = await server.rest.request(
                method, filled, content=body, headers={"content-type": "application/json"}
            )
            assert_answered(answer, (path, body))
        for name in schema.get("properties", {}):
            for value in VALUES:
                for beside in ({}, {"image_id": 1}) if path == "/search" else ({},):
                    content = json.dumps({**beside, name: value})
                    answer = await server.rest.request(
                        method, filled, content=content, headers={"content-type": "application/json"}
                    )
                    assert_answered(answer, (path, name, value))


async def test_text_in_json_is_neither_a_number_nor_true(server: Server) -> None:
    """Of every field of every JSON body that the document calls one; a form has nothing but text."""
    walked = set()
    for method, path, said in await operations(server):
        schema = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        filled = re.sub(r"\{\w+\}", "999", path)
        for name, of in schema.get("properties", {}).items():
            kinds = {one.get("type") for one in of.get("anyOf", of.get("oneOf", [of]))} - {"null"}
            if not kinds or not kinds <= {"integer", "number", "boolean"} or path == "/verify":
                continue
            if path in FORMS and name == "image_id":  # 63 bits, which JavaScript's numbers do not tell apart
                answer = await server.rest.request(method, filled, json={name: "9000000000000000001"})
                assert answer.status_code == 404, answer.text
                continue
            beside = {"text": "a"} if path in FORMS else {}
            answer = await server.rest.request(method, filled, json={**beside, name: "1"})
            assert_answered(answer, (path, name))
            assert answer.status_code == 422 and answer.json().get("field") == name, (path, name, answer.text)
            walked.add((path, name))
    assert {("/search", "k"), ("/search", "exact"), ("/search/similar", "limit"), ("/click", "rank")} <= walked


async def test_bad_values_in_one_of_several_queries(server: Server) -> None:
    for name in ("text", "image_id", "image_url", "vector", "bbox", "bbox_unit", "weight"):
        for value in VALUES:
            content = json.dumps({"queries": [{"image_id": 1, name: value}]})
            answer = await server.rest.post("/search", content=content, headers={"content-type": "application/json"})
            assert_answered(answer, (name, value))


async def test_one_search_of_a_batch_says_what_is_wrong_with_it_alone(server: Server) -> None:
    for value in VALUES:
        content = json.dumps({"searches": [value, {"image_id": 1}]})
        answer = await server.rest.post("/search/batch", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 200, (value, answer.text)
        wrong, right = answer.json()["answers"]
        assert wrong["status"] == 422 and right["space"], value


async def test_bad_values_in_forms(server: Server) -> None:
    openapi = await operations(server)
    schema = next(said for method, path, said in openapi if (method, path) == ("POST", "/search"))["requestBody"]
    for name in schema["content"]["multipart/form-data"]["schema"]["properties"]:
        for value in QUERIES if name != "image" else ():
            answer = await server.rest.post("/search", files={"image": ("a.jpg", GOOD)}, data={name: value})
            assert_answered(answer, (name, value))


async def test_bad_keys_are_not_made(server: Server) -> None:
    for body in (
        {"name": ""},
        {"name": "  \u00a0"},
        {"name": "a\0b"},
        {"name": "a" * 200},
        {"name": "a", "role": "king"},
        {"name": "a", "tenant": "../b"},
        {"name": "a", "tenant": ""},
        {"name": ["a"]},
        {"name": "a", "hash": "b"},
    ):
        answer = await server.rest.post("/keys", json=body)
        assert answer.is_client_error, (body, answer.text)
        assert_answered(answer, body)
    assert (await server.rest.get("/keys")).json()["keys"] == []


LONG: Final = {"attributes.tweet": 1234567890123456789}
ASKED: Final = {"/search": {"image_id": "1"}, "/search/similar": {"text_query": "a"}}


async def test_no_filter_asks_for_a_number_that_is_not_told_from_its_neighbours(server: Server) -> None:
    """At every entrance that takes one; a new one too, by the OpenAPI document."""
    refused = []
    for method, path, said in await operations(server):
        filled = re.sub(r"\{\w+\}", "1", path)
        if "filter" in [one["name"] for one in said.get("parameters", ())]:
            asked = {**ASKED.get(path, {}), "filter": json.dumps(LONG)}
            refused.append((path, "query", await server.rest.get(filled, params=asked)))
        for type, content in said.get("requestBody", {}).get("content", {}).items():
            if "filter" not in content["schema"].get("properties", {}):
                continue
            if type == "application/json":
                beside = {"image_id": 1} if path in FORMS else {}
                refused.append((path, type, await server.rest.request(method, filled, json={**beside, "filter": LONG})))
            else:
                form = {"data": {"filter": json.dumps(LONG)}, "files": {"image": ("a.jpg", GOOD)}}
                refused.append((path, type, await server.rest.request(method, filled, **form)))
    batch = await server.rest.post("/search/batch", json={"searches": [{"image_id": 1, "filter": LONG}]})
    assert "as text" in batch.text, batch.text
    for path, place, answer in refused:
        assert (answer.status_code, answer.json().get("field")) == (422, "filter"), (path, place, answer.text)
        assert "'attributes.tweet'" in answer.json()["detail"] and "as text" in answer.json()["detail"]
    assert {path for path, _, _ in refused} >= {"/search", "/images", "/erase", "/search/cluster", "/search/similar"}
    async with AsyncClient(str(server.rest.base_url)) as client:
        for call in (client.search(image_id=1, filter=LONG), client.clusters(filter=LONG)):
            with pytest.raises(InvalidQuery, match="as text") as error:
                await call
            assert error.value.field == "filter"


NUMBERS: Final = {
    FieldDescriptor.TYPE_INT32: (-1, 0, 2**31 - 1, -(2**31)),
    FieldDescriptor.TYPE_INT64: (-1, 0, 2**63 - 1, -(2**63)),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FLOAT: (float("nan"), float("inf"), -1.0, 3e38),
    FieldDescriptor.TYPE_DOUBLE: (float("nan"), float("-inf"), -1.0, 1e308),
    FieldDescriptor.TYPE_ENUM: (-1, 99),
    FieldDescriptor.TYPE_BOOL: (True,),
    FieldDescriptor.TYPE_STRING: ("", " ", "\0", "a" * 3_000, "{", '{"owner": "\\ud800"}', "http://[x", "0@0", "NaN"),
    FieldDescriptor.TYPE_BYTES: (b"", b"\0", b"[", b"\xff" * 64, b'{"a": NaN}', b'{"\\ud800": 1}'),
}


def spoilt(message: Message) -> Iterator[tuple[str, Message]]:
    """Copies of the message, each with one bad value in one field, below as well."""
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            each = list(inner) or [inner.add()] if field.is_repeated else [inner]
            for number, one in enumerate(each):
                for name, bad in spoilt(one):
                    copy = type(message)()
                    copy.CopyFrom(message)
                    target = getattr(copy, field.name)[number] if field.is_repeated else getattr(copy, field.name)
                    target.CopyFrom(bad)
                    yield f"{field.name}.{name}", copy
            continue
        for value in NUMBERS[field.type]:
            copy = type(message)()
            copy.CopyFrom(message)
            if field.is_repeated:
                getattr(copy, field.name).append(value)
            else:
                setattr(copy, field.name, value)
            yield f"{field.name}={value!r}"[:80], copy


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("Search", search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image_id=1)])),
        ("Search", search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=GOOD)])),
        ("Get", search_pb2.GetRequest(id=999)),
        ("Upsert", search_pb2.UpsertRequest(image=b"no picture")),
    ],
)
async def test_bad_values_in_every_field_of_every_rpc(server: Server, method: str, message: Message) -> None:
    ours = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNAVAILABLE}
    for name, bad in spoilt(message):
        try:
            await getattr(server.rpc, method)(bad, timeout=30)
        except grpc.aio.AioRpcError as error:
            assert error.code() not in ours, (name, error.code(), error.details())
            assert not INSIDES.search(error.details() or ""), (name, error.details())
            assert dict(error.trailing_metadata() or ()).get("omma-kind"), name


OF_TYPE: Final[dict[str, Any]] = {
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "string": "1",
    "array": [1],
    "object": {"a": 1},
}
FORMS: Final = ("/search", "/search/similar")
"""What a form asks as well: a number as text is a number."""
DIGITS: Final = (("/click", "user_id"), ("/search", "user_id"))
"""A whole number is the text of its digits."""


def other_types(path: str, name: str, schema: dict[str, Any]) -> Iterator[Any]:
    """A value of each type of JSON that the field has not, though Python may take it for one that it has."""
    types = {one.get("type", "anything") for one in schema.get("anyOf", [schema])}
    if "number" in types:
        types.add("integer")
    if path in FORMS:
        types.add("string")
    if (path, name) in DIGITS:
        types.add("integer")
    if "anything" not in types:
        yield from (value for type, value in OF_TYPE.items() if type not in types)


async def test_no_value_stands_in_for_another(server: Server) -> None:
    for method, path, said in await operations(server):
        schema = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        beside = {"image_id": 1} if path in FORMS else {}
        for name, field in schema.get("properties", {}).items():
            for value in other_types(path, name, field):
                body = {**beside, name: value}
                answer = await server.rest.request(method, re.sub(r"\{\w+\}", "999", path), json=body)
                assert answer.status_code == 422, (path, name, value, answer.text)
                assert answer.json()["field"].startswith(name), (path, name, value, answer.text)

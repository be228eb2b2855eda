"""The SDK: what goes over the wire, what comes back, what is raised. The network is httpx's mock transport."""

import asyncio
import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from PIL import Image

import omma
from omma.client import AsyncClient, Client
from omma.errors import Absent, Bug, OutOfTime, ReplicaDown, TooLarge
from omma.hits import Degraded
from omma.telemetry.context import bind_request_id
from tests.unit.client_wire import ANSWER, ROW, Wire


def test_the_package_offers_both_clients() -> None:
    assert omma.Client is Client
    assert omma.AsyncClient is AsyncClient


def test_an_answer_becomes_values() -> None:
    results = Wire().client().search(image_id=1)
    assert [hit.id for hit in results] == [7, 5]
    best, second = results.results
    assert (best.bbox, best.phash_distance, best.duplicates) == ((1, 2, 3, 4), 3, (9, 8))
    assert (best.attributes, best.tags) == ({"price": 3}, ("a",))
    assert (second.bbox, second.phash_distance, second.duplicates) == (None, None, ())
    assert results.coverage.fraction == 0.5
    assert results.degraded == {Degraded.SHARD_MISSING}
    assert results.next_cursor == "c"


def test_without_a_picture_a_search_is_json() -> None:
    wire = Wire()
    wire.client().search(
        text="red",
        vector=(1, 0.5),
        space="s",
        bbox=(1, 2, 3, 4),
        k=5,
        filter={"owner": "a"},
        receipts=("1@2",),
        exact=True,
    )
    assert (wire.request.method, wire.request.url.path) == ("POST", "/search")
    assert json.loads(wire.request.content) == {
        "text": "red",
        "vector": [1, 0.5],
        "space": "s",
        "bbox": "1,2,3,4",
        "k": 5,
        "filter": {"owner": "a"},
        "receipts": ["1@2"],
        "exact": True,
    }


def test_with_a_picture_it_is_a_form() -> None:
    wire = Wire()
    wire.client().search(
        b"\xff\xd8picture",
        bbox=(30, 20, 220, 200),
        k=50,
        filter={"owner": "ä"},
        receipts=["1@2", "3@4"],
        exact=True,
        text="x",
    )
    assert wire.form() == {
        "image": [b"\xff\xd8picture"],
        "bbox": [b"30,20,220,200"],
        "k": [b"50"],
        "filter": ['{"owner":"ä"}'.encode()],
        "receipts": [b'["1@2","3@4"]'],
        "exact": [b"true"],
        "text": [b"x"],
    }
    assert wire.parts()["image"][0].get_filename()


@pytest.mark.parametrize("kind", ["path", "text path", "bytes", "pillow"])
def test_a_picture_comes_in_every_shape(kind: str, tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 4), (200, 10, 10))
    path = tmp_path / "p.png"
    picture.save(path)
    source = {"path": path, "text path": str(path), "bytes": path.read_bytes(), "pillow": picture}[kind]
    wire = Wire()
    wire.client().search(source)
    with Image.open(io.BytesIO(wire.form()["image"][0])) as sent:
        assert (sent.size, sent.getpixel((0, 0))) == ((8, 4), (200, 10, 10))


def test_the_search_waits_as_long_as_it_may_take() -> None:
    wire = Wire()
    client = wire.client(timeout_seconds=3)
    client.search(text="x", timeout_ms=60_000)
    assert wire.request.extensions["timeout"]["read"] > 60
    client.search(text="x")
    assert wire.request.extensions["timeout"] == {"connect": 5, "read": 3, "write": 3, "pool": 3}


def test_every_request_has_a_timeout_the_key_and_the_request_id() -> None:
    wire = Wire()
    with bind_request_id("r-9"):
        wire.client(api_key="secret").search(text="x")
    assert wire.request.headers["authorization"] == "Bearer secret"
    assert wire.request.headers["x-request-id"] == "r-9"
    assert all(wire.request.extensions["timeout"].values())
    wire.client().search(text="x")
    assert not {"authorization", "x-request-id"} & set(wire.request.headers)


def test_uploading() -> None:
    wire = Wire(httpx.Response(201, json={"id": 7, "sha256": "ab", "receipt": "7@1", "duplicate": False}))
    uploaded = wire.client().upload(b"x", external_id="mine", owner="ann", tags=["a", "b"], attributes={"price": 3})
    assert (uploaded.id, uploaded.receipt, uploaded.duplicate) == (7, "7@1", False)
    assert wire.request.url.path == "/images"
    assert wire.form() == {
        "image": [b"x"],
        "external_id": [b"mine"],
        "owner": [b"ann"],
        "tags": [b'["a","b"]'],
        "attributes": [b'{"price":3}'],
    }


def test_reading_a_row() -> None:
    wire = Wire(httpx.Response(200, json=ROW))
    picture = wire.client().get(7)
    assert (picture.key, picture.receipt, picture.created_at.year) == ("mine", "7@2", 2026)
    assert (wire.request.method, wire.request.url.path) == ("GET", "/images/7")


def test_changing_sends_only_what_is_given() -> None:
    wire = Wire(httpx.Response(200, json=ROW, headers={"Omma-Receipt": "7@3"}))
    assert wire.client().patch(7, tags=[]) == "7@3"
    assert (wire.request.method, json.loads(wire.request.content)) == ("PATCH", {"tags": []})


def test_deleting() -> None:
    wire = Wire(httpx.Response(204, headers={"Omma-Receipt": "7@4"}))
    assert wire.client().delete(7) == "7@4"
    assert (wire.request.method, wire.request.url.path) == ("DELETE", "/images/7")


def test_bytes_of_a_picture() -> None:
    wire = Wire(httpx.Response(200, content=b"bytes"))
    assert wire.client().content(7) == wire.client().thumbnail(7) == b"bytes"
    assert [request.url.path for request in wire.requests] == ["/images/7/content", "/images/7/thumbnail"]


@pytest.mark.parametrize("word", ["../keys", "7?all=1", "7#", "7/../8", ".", "ä b"])
@pytest.mark.parametrize("call", ["get", "delete", "restore", "content", "thumbnail", "patch", "job"])
def test_a_word_in_a_path_is_one_part_of_it(call: str, word: str) -> None:
    wire = Wire(httpx.Response(200, json=ROW, headers={"Omma-Receipt": "7@4"}))
    getattr(wire.client(), call)(word)
    room, part, *rest = wire.request.url.raw_path.decode().strip("/").split("/")
    assert (room, rest) in [("images", []), ("images", [call]), ("jobs", [])]
    assert unquote(part) == word and not {"?", "#", "."} & set(part)


def test_clicking() -> None:
    wire = Wire(httpx.Response(204))
    wire.client().click(user_id="u", query_image_id=1, displayed_image_id=7, rank=2)
    assert json.loads(wire.request.content) == {
        "user_id": "u",
        "query_image_id": 1,
        "displayed_image_id": 7,
        "rank": 2,
    }


def test_curating() -> None:
    wire = Wire(httpx.Response(200, json={"images": [], "job_id": "j", "clusters": []}))
    client = wire.client()
    client.anomalies("density", limit=3)
    assert str(wire.request.url) == "http://omma.test/qa/anomalies?by=density&limit=3"
    client.clusters(filter={"owner": "ann"}, wait_seconds=60)
    assert wire.request.url.params["wait_seconds"] == "60"
    assert json.loads(wire.request.content) == {"filter": {"owner": "ann"}}
    assert wire.request.extensions["timeout"]["read"] > 60
    assert client.add_vectors("products", [{"id": "a", "vector": (1, 2)}]) == "j"
    assert json.loads(wire.request.content)["vectors"] == [{"id": "a", "vector": [1.0, 2.0]}]


def test_health() -> None:
    assert Wire(httpx.Response(200, json={"ok": True})).client().health() == {"ok": True}


def test_a_problem_is_raised_as_its_class() -> None:
    problem = {"kind": "too_large", "detail": "At most 20 MB.", "field": "image", "limit": 20_000_000, "status": 413}
    with pytest.raises(TooLarge) as raised:
        Wire(httpx.Response(413, json=problem)).client().upload(b"x")
    assert (raised.value.detail, raised.value.field, raised.value.limit) == ("At most 20 MB.", "image", 20_000_000)


@pytest.mark.parametrize(
    ("failure", "error_class"),
    [
        (httpx.ConnectError("refused"), ReplicaDown),
        (httpx.ConnectTimeout("slow"), OutOfTime),
        (httpx.ReadTimeout("slow"), OutOfTime),
        (httpx.RemoteProtocolError("cut off"), ReplicaDown),
    ],
)
def test_the_networks_failures_have_a_class(failure: Exception, error_class: type[Exception]) -> None:
    with pytest.raises(error_class):
        Wire(failure).client().health()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b'{"kind": "invented_later"}', b'{"kind": []}'])
def test_any_body_of_an_error_is_an_error_with_a_kind(body: bytes) -> None:
    with pytest.raises(Absent):
        Wire(httpx.Response(404, content=body)).client().get(1)
    with pytest.raises(Bug):
        Wire(httpx.Response(500, content=body)).client().get(1)


@pytest.mark.parametrize("body", [b"", b"<html>router login", b"[]"])
def test_something_that_is_not_omma_is_said_so(body: bytes) -> None:
    with pytest.raises(Bug, match="not Omma"):
        Wire(httpx.Response(200, content=body)).client().health()


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    monkeypatch.setenv("OMMA_URL", "http://elsewhere.test:81")
    Client(transport=httpx.MockTransport(wire)).search(text="x")
    assert wire.request.url == "http://elsewhere.test:81/search"
    monkeypatch.delenv("OMMA_URL")
    Client(transport=httpx.MockTransport(wire)).search(text="x")
    assert wire.request.url == "http://127.0.0.1:8080/search"


def test_it_is_closed_after_its_block() -> None:
    with Wire().client() as client:
        client.search(text="x")
    with pytest.raises(RuntimeError):
        client.search(text="x")


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("search", (b"x",), {"k": 3, "bbox": (0, 0, 1, 1)}),
    ("search", (), {"text": "red"}),
    ("get", (7,), {}),
    ("patch", (7,), {"owner": "ann"}),
    ("delete", (7,), {}),
    ("content", (7,), {}),
    ("thumbnail", (7,), {}),
    ("upload", (b"x",), {"tags": ["a"]}),
    ("click", (), {"user_id": "u", "query_image_id": 1, "displayed_image_id": 2, "rank": 0}),
    ("feedback", (7, "relevant"), {"query_image_id": 3}),
    ("health", (), {}),
    ("create_space", ("products", 4), {}),
    ("add_vectors", ("products", [{"id": "a", "vector": (1, 2)}]), {"revive_deleted": True}),
    ("clusters", ([7, 5],), {"threshold": 0.5, "wait_seconds": 3.0}),
    ("anomalies", ("density",), {"cursor": "abc", "limit": 3}),
    ("duplicates", (), {}),
    ("merge_duplicates", (7, [5]), {}),
    ("split_duplicates", (7, [5]), {}),
]


@pytest.mark.parametrize(("method", "arguments", "options"), CALLS)
async def test_both_clients_speak_alike(method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    body = {**ANSWER, **ROW, "duplicate": False, "job_id": "j"}
    wires = [Wire(httpx.Response(200, json=body, headers={"Omma-Receipt": "7@4"})) for _ in range(2)]
    here = getattr(wires[0].client(), method)(*arguments, **options)
    async with AsyncClient("http://omma.test", transport=httpx.MockTransport(wires[1])) as client:
        there = await getattr(client, method)(*arguments, **options)
    assert here == there
    said = [(wire.request.method, wire.request.url, _without_boundary(wire.request)) for wire in wires]
    assert said[0] == said[1]


def _without_boundary(request: httpx.Request) -> bytes:
    boundary = request.headers.get("content-type", "").partition("boundary=")[2].encode()
    return request.content.replace(boundary, b"") if boundary else request.content


def test_both_clients_have_the_same_methods() -> None:
    def methods(client: type) -> dict[str, Callable[..., Any]]:
        return {name: one for name, one in vars(client).items() if inspect.isfunction(one) and name[0] != "_"}

    blocking, asynchronous = methods(Client), methods(AsyncClient)
    assert {name: inspect.signature(one) for name, one in blocking.items()} == {
        name: inspect.signature(one) for name, one in asynchronous.items()
    }
    assert all(asyncio.iscoroutinefunction(one) for one in asynchronous.values())

"""Every entrance has a deadline that reaches every part, and a caller who has gone ends its work."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from omma.v1 import search_pb2, search_pb2_grpc
from tests.pictures import encoded, scene
from tests.unit.gateway_faces import Faces, Hanging, faces
from tests.unit.search_world import World
from tests.waiting import eventually

KEY = (("x-api-key", "ann"),)
JSON = {"content_type": "application/json"}
FORM = {"content_type": "multipart/form-data; boundary=B"}
PICTURE = encoded(scene())
UPLOAD = b'--B\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n' + PICTURE + b"\r\n--B--\r\n"
CROP = {"image_id": 1, "bbox": "0,0,4,4"}
BODIES = {
    "/images": (UPLOAD, FORM),
    "/images/{image_id}": (b'{"owner": "ann"}', JSON),
    "/images/ingest": (b'{"source": "s3://pictures"}', JSON),
    "/click": (b'{"user_id": "a", "displayed_image_id": 1, "rank": 1}', JSON),
    "/feedback": (b'{"image_id": 1, "action": "reviewed"}', JSON),
    "/duplicates/merge": (b'{"keep": 1, "ids": [2]}', JSON),
    "/duplicates/split": (b'{"keep": 1, "ids": [2]}', JSON),
    "/ingest": (b'{"urls": ["http://pictures.example/1.jpg"]}', JSON),
    "/vectors": (b'{"space": "products", "vectors": [{"id": "a", "vector": [1]}]}', JSON),
    "/spaces": (b'{"name": "products", "dim": 4}', JSON),
    "/images/known": (b'{"sha256": ["' + b"0" * 64 + b'"]}', JSON),
    "/quotas/{tenant}": (b'{"max_pictures": 1}', JSON),
    "/images/presign": (b'{"bytes": 9}', JSON),
    "/rollouts/{id}/canary": (b'{"share": 5}', JSON),
    "/rollouts/{id}/judgments": (b'{"labels": {"1": "a", "2": "a"}}', JSON),
    "/erase": (b'{"ids": [1]}', JSON),
    "/experiments": (b'{"name": "a", "arm": {"effort": 4}}', JSON),
    "/verify": (b"{}", JSON),
    "/dead-letters/replay": (b"{}", JSON),
    "/keys": (b'{"name": "new", "role": "read"}', JSON),
}
QUERIES = {"/trace": "?place=1", "/verify": "?wait_seconds=0"}
PARAMETERS = {"{image_id}": "1", "{job_id}": "1", "{id}": "0123abcd", "{name}": "a", "{tenant}": "a"}
BESIDES = ("/search", "/embed", "/health", "/healthz", "/readyz", "/metrics", "/uploads", "/ui/session")
"""Searches have their own below; the others ask no part, or not before they know the address for one of Omma's."""


@pytest.fixture
async def some(tmp_path: Path) -> AsyncIterator[Faces]:
    async with faces(tmp_path, resolver_originals=Hanging(), request_seconds=0.3) as made:
        yield made


async def asked(some: Faces, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    async with some.connection() as caller:
        await caller.request(method, path, body, **headers)
        return await caller.answer()


async def test_every_rest_entrance_has_a_deadline(some: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    for shard in some.world.shards:
        shard.stats = some.parts.stats  # type: ignore[method-assign]
    monkeypatch.setattr("services.gateway.rest.waited._ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("services.gateway.rest.dead_letters._WAIT_SECONDS", 0.1)
    async with some.connection() as caller:
        await caller.request("GET", "/openapi.json")
        _, openapi = await caller.answer()
    walked = []
    for template, methods in openapi["paths"].items():
        if template.startswith(BESIDES) or template.endswith("/neighbours"):
            continue
        path = template
        for name, value in PARAMETERS.items():
            path = path.replace(name, value)
        for method in methods:
            body, headers = BODIES.get(template, (b"{}", JSON)) if method in ("post", "patch", "put") else (None, {})
            query = QUERIES.get(template, "")
            status, problem = await asked(some, method.upper(), path + query, body, **headers)
            walked.append((method, template, status, problem.get("kind")))
    late = [one for one in walked if one[2] == 504]
    assert [one for one in walked if one not in late and one[2] != 200] == []
    assert len(late) > 8, walked
    assert some.parts.ended == some.parts.begun, "the part was left"


GRPC: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "Get": lambda stub: stub.Get(search_pb2.GetRequest(id=1), metadata=KEY),
    "Upsert": lambda stub: stub.Upsert(search_pb2.UpsertRequest(image=PICTURE), metadata=KEY),
    "Delete": lambda stub: stub.Delete(search_pb2.DeleteRequest(id=1), metadata=KEY),
}


@pytest.mark.parametrize("method", GRPC)
async def test_every_grpc_entrance_has_a_deadline(some: Faces, method: str) -> None:
    async with some.channel() as channel, asyncio.timeout(20):
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await GRPC[method](search_pb2_grpc.SearchServiceStub(channel))
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert some.parts.left()


def hang(world: World, part: str) -> Hanging:
    """The part hangs, but for what the originals' hanging needs."""
    hanging = Hanging()
    if part == "embedder":
        world.embedder.embed = hanging.embed  # type: ignore[method-assign]
    elif part == "shard's fetch":
        for shard in world.shards:
            shard.fetch = hanging.fetch  # type: ignore[method-assign]
    elif part == "shard's search":
        for shard in world.shards:
            shard.search = hanging.search  # type: ignore[method-assign]
    elif part == "urls":
        world.core._resolver._urls = hanging  # type: ignore[assignment]
    elif part == "originals":
        world.core._resolver._originals = hanging  # type: ignore[assignment]
    return hanging


SEARCHES: list[tuple[str, dict[str, Any]]] = [
    ("embedder", {"text": "1"}),
    ("shard's fetch", {"image_id": 1}),
    ("originals", CROP),
    ("urls", {"image_url": "http://example.com/"}),
    ("shard's search", {"text": "1"}),
]


@pytest.mark.parametrize(("part", "query"), SEARCHES, ids=[part for part, _ in SEARCHES])
@pytest.mark.parametrize("batch", [False, True])
async def test_a_search_ends_when_its_time_does_whatever_part_hangs(
    some: Faces, part: str, query: dict[str, Any], batch: bool
) -> None:
    hanging = hang(some.world, part)
    asked_for = {**query, "timeout_ms": 300}
    document: dict[str, Any] = {"searches": [asked_for] * 20} if batch else asked_for
    began = time.perf_counter()

    status, answer = await asked(some, "POST", "/search" + "/batch" * batch, json.dumps(document).encode(), **JSON)
    took = time.perf_counter() - began
    each = answer["answers"] if batch else [answer]
    assert status == (200 if batch else 504 if part != "shard's search" else 503)
    assert all(one["status"] in (503, 504, 429) for one in each)
    assert took < 2.0
    await eventually(hanging.left, 10)


async def test_the_clock_of_a_search_starts_when_it_arrives(some: Faces) -> None:
    async with some.connection() as caller:
        body = b'{"text": "1", "timeout_ms": 300}'
        await caller.request("POST", "/search", body[:5], **JSON, content_length=str(len(body)))
        await asyncio.sleep(0.35)
        await caller.send(body[5:])
        status, problem = await caller.answer()
    assert (status, problem["kind"]) == (504, "out_of_time")
    assert some.world.embedder.calls == []


async def test_what_is_sought_is_read_side_by_side(some: Faces) -> None:
    every = asyncio.Barrier(8)

    class Meeting:
        async def read(self, *_: Any) -> bytes:
            await every.wait()
            return b"1"

    some.world.core._resolver._originals = Meeting()  # type: ignore[assignment]

    document = {"queries": [{"image_id": number, "bbox": "0,0,4,4"} for number in range(1, 9)]}
    status, _ = await asked(some, "POST", "/search", json.dumps(document).encode(), **JSON)
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/search", b'{"text": "1", "timeout_ms": 60000}'),
        ("GET", "/search?text=1&timeout_ms=60000", None),
        ("POST", "/search/batch", b'{"searches": [{"text": "1", "timeout_ms": 60000}]}'),
        ("GET", "/images/1", None),
        ("DELETE", "/images/1", None),
    ],
)
async def test_who_hangs_up_ends_the_work(tmp_path: Path, method: str, path: str, body: bytes | None) -> None:
    async with faces(tmp_path, request_seconds=600) as some:
        part = hang(some.world, "embedder") if "search" in path else some.parts
        async with some.connection() as caller:
            await caller.request(method, path, body, **JSON)
            await asyncio.wait_for(part.reached.wait(), 10)
            assert part.ended == []
        await eventually(part.left, 10)
        assert some.world.core._admission.running == 0


async def test_who_cancels_a_grpc_call_ends_the_work(tmp_path: Path) -> None:
    async with faces(tmp_path, request_seconds=600) as some, some.channel() as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        embedder = hang(some.world, "embedder")
        search = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(text="1")], timeout_ms=60_000)
        for call, part in ((stub.Search(search, metadata=KEY), embedder), (GRPC["Get"](stub), some.parts)):
            await asyncio.wait_for(part.reached.wait(), 10)
            call.cancel()  # type: ignore[attr-defined]
            await eventually(part.left, 10)

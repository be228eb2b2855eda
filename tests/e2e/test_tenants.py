"""Tenants never see each other: whatever they upload, search, fetch or guess."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.interface import Catalog
from omma.identity import Tenant
from omma.v1 import search_pb2, search_pb2_grpc
from services.gateway.callers.auth import hash_secret
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES = [encoded(scene(96, 64, seed)) for seed in range(4)]


@dataclass
class Caller:
    """A tenant's key, and what the tenant may find."""

    rest: httpx.AsyncClient
    headers: dict[str, str]
    live: dict[int, str] = field(default_factory=dict)
    """Receipt by id."""
    ever: set[int] = field(default_factory=set)

    async def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return await self.rest.request(method, path, headers=self.headers, **kwargs)

    async def upload(self, picture: bytes, owner: str) -> dict[str, Any]:
        answer = await self.ask("POST", "/images", files={"image": ("a.jpg", picture)}, data={"owner": owner})
        assert answer.status_code in (200, 201)
        document: dict[str, Any] = answer.json()
        self.live[document["id"]] = document["receipt"]
        self.ever.add(document["id"])
        return document

    async def delete(self, image_id: int) -> None:
        answer = await self.ask("DELETE", f"/images/{image_id}")
        assert answer.status_code == 204
        del self.live[image_id]

    async def found(self, **body: Any) -> set[int]:
        """Ids of a search that has waited for the tenant's own writes, duplicates among them."""
        waiting = {"receipts": list(self.live.values()), "k": 100, "timeout_ms": 20_000}
        answer = await self.ask("POST", "/search", json={**waiting, **body})
        assert answer.status_code == 200, answer.text
        hits = answer.json()["results"]
        return {hit["id"] for hit in hits} | {other["id"] for hit in hits for other in hit.get("duplicates", [])}


@dataclass
class Server:
    rest: httpx.AsyncClient
    rpc: search_pb2_grpc.SearchServiceStub
    catalog: Catalog

    async def tenant(self) -> Caller:
        """A tenant that nobody used before, with a key of its own."""
        secret = secrets.token_hex(16)
        tenant = Tenant(f"tenant-{secret[:8]}")
        await self.catalog.add_api_key(ApiKey(hash_secret(secret), "test", tenant, Role.WRITE, 0))
        return Caller(self.rest, {"authorization": f"Bearer {secret}"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("tenants")
    options = StandaloneSettings(
        data_dir=folder / "data",
        http_port=0,
        grpc_port=0,
        gateway={"keys_max_age_seconds": 0.0},
    )
    async with (
        serving(options) as (omma, address),
        httpx.AsyncClient(base_url=address.url, timeout=60) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        yield Server(rest, search_pb2_grpc.SearchServiceStub(channel), omma.services.storage.catalog)


picture_numbers = st.lists(st.integers(0, len(PICTURES) - 1), min_size=1, max_size=4)


@given(ours=picture_numbers, theirs=picture_numbers, deletes=st.integers(0, 2))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_tenants_never_see_each_other(server: Server, ours: list[int], theirs: list[int], deletes: int) -> None:
    ann, bob = await server.tenant(), await server.tenant()
    for number in ours:
        await ann.upload(PICTURES[number], "ann")
    for number in theirs:
        uploaded = await bob.upload(PICTURES[number], "bob")
        assert uploaded["id"] not in ann.ever
    for image_id in list(bob.live)[:deletes]:
        await bob.delete(image_id)

    for one, other in ((ann, bob), (bob, ann)):
        await _sees_only_its_own(one, other)
        await _cannot_touch(one, other, server.rpc)
    for one in (ann, bob):
        listed = (await one.ask("GET", "/images")).json()
        assert {row["id"] for row in listed["images"]} == set(one.live)
        assert listed["count"] == len(one.live)


async def _sees_only_its_own(one: Caller, other: Caller) -> None:
    space = (await one.ask("GET", "/health")).json()["indexes"][0]["space"]
    vector = (await one.ask("POST", "/embed/image", files={"image": ("a.jpg", PICTURES[0])})).json()["vector"]
    for options in ({}, {"exact": True}, {"near_duplicates": "keep"}, {"use_crops": True}):
        assert await one.found(vector=vector, space=space, **options) == set(one.live)
    assert await one.found(vector=vector, space=space, filter={"owner": "ann"}) <= set(one.live)
    stolen = await one.ask(
        "POST",
        "/search",
        json={"vector": vector, "space": space, "receipts": list(other.live.values()), "timeout_ms": 200},
    )
    assert {hit["id"] for hit in stolen.json()["results"]} <= set(one.live)
    page = await other.ask("POST", "/search", json={"vector": vector, "space": space, "k": 1})
    if cursor := page.json().get("next_cursor"):
        answer = await one.ask("POST", "/search", json={"vector": vector, "space": space, "cursor": cursor})
        assert {hit["id"] for hit in answer.json()["results"]} <= set(one.live)


async def _cannot_touch(one: Caller, other: Caller, rpc: search_pb2_grpc.SearchServiceStub) -> None:
    """Another tenant's picture answers word for word as one that never was."""
    never = 10**12
    for image_id in other.ever:
        for method, path, body in (
            ("GET", "/images/{}", None),
            ("GET", "/images/{}/content", None),
            ("GET", "/images/{}/thumbnail", None),
            ("GET", "/images/{}/neighbours", None),
            ("PATCH", "/images/{}", {"owner": "thief"}),
            ("DELETE", "/images/{}", None),
        ):
            guessed = await one.ask(method, path.format(image_id), json=body)
            absent = await one.ask(method, path.format(never), json=body)
            assert guessed.status_code == absent.status_code == 404
            assert _words(guessed, image_id) == _words(absent, never)
        for bbox in ({}, {"bbox": "0,0,1,1", "bbox_unit": "fraction"}):
            search = await one.ask("POST", "/search", json={"image_id": image_id, **bbox})
            assert search.status_code == 404
    click = {"user_id": "u", "query_image_id": never, "displayed_image_id": min(other.ever), "rank": 1}
    assert (await one.ask("POST", "/click", json=click)).status_code == 204
    for image_id in other.ever:
        for call, request in (
            (rpc.Get, search_pb2.GetRequest(id=image_id)),
            (rpc.Delete, search_pb2.DeleteRequest(id=image_id)),
            (rpc.Search, search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image_id=image_id)])),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call(request, metadata=list(one.headers.items()), timeout=30)
            assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    for image_id, receipt in other.live.items():
        row = (await other.ask("GET", f"/images/{image_id}")).json()
        assert (row["receipt"], row["owner"] == "thief") == (receipt, False)


def _words(answer: httpx.Response, image_id: int) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    del document["request_id"]
    return {**document, "detail": document["detail"].replace(str(image_id), "#")}


async def test_a_key_is_needed_once_there_is_one(server: Server) -> None:
    caller = await server.tenant()
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic abc"}, {"x-api-key": "wrong"}):
        answer = await server.rest.post("/search", json={"image_id": 1}, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["kind"] == "not_signed_in"
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/health", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert (await server.rest.get(path)).status_code == 200
    secret = caller.headers["authorization"].removeprefix("Bearer ")
    assert (await server.rest.get("/images", headers={"x-api-key": secret})).status_code == 200


async def test_a_reader_may_not_write(server: Server) -> None:
    secret = secrets.token_hex(16)
    await server.catalog.add_api_key(ApiKey(hash_secret(secret), "reader", Tenant("readers"), Role.READ, 0))
    reader = Caller(server.rest, {"authorization": f"Bearer {secret}"})
    picture = {"image": ("a.jpg", PICTURES[0])}
    assert (await reader.ask("POST", "/search", files=picture)).status_code == 200
    for answer in (
        await reader.ask("POST", "/images", files=picture),
        await reader.ask("PATCH", "/images/1", json={"tags": []}),
        await reader.ask("DELETE", "/images/1"),
    ):
        assert answer.status_code == 403
        assert answer.json()["kind"] == "not_allowed"


async def test_a_revoked_key_stops_working(server: Server) -> None:
    caller = await server.tenant()
    assert (await caller.ask("GET", "/images")).status_code == 200
    secret = caller.headers["authorization"].removeprefix("Bearer ")
    await server.catalog.revoke_api_key(hash_secret(secret))
    assert (await caller.ask("GET", "/images")).status_code == 401

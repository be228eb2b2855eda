"""Every call that may change something leaves who, what and what came of it; a read leaves nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
import pytest_asyncio

from omma.v1 import embedding_pb2, rerank_pb2, search_pb2, search_pb2_grpc, shard_pb2
from services.gateway.grpc import entrance
from services.gateway.rest import audited
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.e2e.roles import ANN, FILLED, ROUTES, TENANT_ADMIN, Door, routes_of
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS_BY_POST: Final = {
    ("POST", "/search"),
    ("POST", "/search/batch"),
    ("POST", "/search/similar"),
    ("POST", "/embed/image"),
    ("POST", "/embed/text"),
    ("POST", "/click"),
    ("DELETE", "/ui/session"),
}
CHANGES_BY_RPC: Final = {
    "omma.v1.SearchService/Upsert",
    "omma.v1.SearchService/Delete",
    "omma.v1.ShardService/Erase",
}
OF_NOBODY: Final = {("PUT", "/uploads/{name}"), ("POST", "/ui/session")}
"""Without an address, or a key, nobody is let in."""


def of_data(folder: Path) -> StandaloneSettings:
    return StandaloneSettings(data_dir=folder / "data", http_port=0, grpc_port=0, gateway={"keys_max_age_seconds": 0.0})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with (
        serving(of_data(tmp_path_factory.mktemp("audit"))) as (omma, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        yield Door(omma, rest, channel)


async def entries(door: Door, headers: dict[str, str], **asked: Any) -> list[dict[str, Any]]:
    """Every one, the oldest first, page by page."""
    await door.omma.services.gateway.trail.flush()
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await door.rest.get("/audit", params={"limit": 3, "cursor": cursor, **asked}, headers=headers)
        assert page.status_code == 200, page.text
        found += page.json()["audit"]
        if (cursor := page.json().get("next_cursor", "")) == "":
            return found[::-1]


async def test_every_route_that_may_change_something_is_audited(door: Door) -> None:
    admin = await door.key(ANN, list(type(TENANT_ADMIN))[-1])
    routes = {(method, route.path) for route in routes_of(door.omma.rest.routes) for method in route.methods}
    assert routes == ROUTES.keys() and READS_BY_POST == audited.CHANGE_NOTHING
    before = len(await entries(door, admin))
    asked = []
    for method, path in sorted(routes):
        headers = {**admin, "x-request-id": f"{method}-{len(asked)}"}
        where = path.replace(":path}", "}").format(**FILLED)
        body = None if method in ("GET", "DELETE") else {}
        answer = await door.rest.request(method, where, headers=headers, json=body, params={"wait_seconds": 0})
        if method != "GET" and (method, path) not in READS_BY_POST | OF_NOBODY:
            asked.append((f"{method} {path}", str(answer.status_code), headers["x-request-id"]))
    said = (await entries(door, admin))[before:]
    assert [(one["call"], one["outcome"], one["request_id"]) for one in said] == asked
    assert {one["by"].partition(":")[0] for one in said} == {"key"} and {one["tenant"] for one in said} == {ANN}


async def test_every_rpc_that_may_change_something_is_audited(door: Door) -> None:
    admin = await door.key(ANN, list(type(TENANT_ADMIN))[-1])
    files = (search_pb2, embedding_pb2, shard_pb2, rerank_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    methods = {f"{service.full_name}/{name}" for service in services for name in service.methods_by_name}
    assert methods - entrance.CHANGE_NOTHING == CHANGES_BY_RPC
    before = len(await entries(door, admin))
    for method in sorted(methods):
        try:
            await door.channel.unary_unary(f"/{method}")(b"", metadata=list(admin.items()), timeout=30)
        except grpc.aio.AioRpcError as error:
            assert error.code() is not grpc.StatusCode.UNIMPLEMENTED
    said = (await entries(door, admin))[before:]
    assert {one["call"] for one in said} == CHANGES_BY_RPC


async def test_an_entry_says_who_what_and_what_came_of_it(door: Door) -> None:
    admin, writer = await door.key(ANN, list(type(TENANT_ADMIN))[-1]), await door.key(ANN, TENANT_ADMIN)
    before = len(await entries(door, admin))
    made = await door.rest.post("/images", files={"image": ("a.png", encoded(scene()))}, headers=writer)
    id = made.json()["id"]
    await door.rest.patch(f"/images/{id}", json={"tags": ["a"]}, headers=writer)
    await door.rest.delete("/images/999999999", headers=writer)
    stub = search_pb2_grpc.SearchServiceStub(door.channel)
    await stub.Delete(search_pb2.DeleteRequest(id=id), metadata=list(writer.items()), timeout=30)
    key = (await door.rest.post("/keys", json={"name": "a camera"}, headers=writer)).json()["id"]
    await door.rest.post("/images", files={"image": ("a.png", b"x")}, headers={"x-api-key": "a guess"})
    said = (await entries(door, admin, tenant=ANN))[before:]
    assert [(one["call"], one["object"], one["outcome"]) for one in said] == [
        ("POST /images", f"picture {id}", "201"),
        ("PATCH /images/{image_id}", f"picture {id}", "200"),
        ("DELETE /images/{image_id}", "picture 999999999", "404"),
        ("omma.v1.SearchService/Delete", f"picture {id}", "OK"),
        ("POST /keys", f"key {key}", "201"),
    ]
    assert {one["name"] for one in said} == {f"{ANN}'s {TENANT_ADMIN}"}
    assert await entries(door, admin, tenant="nobody") == []


async def test_what_was_done_last_is_kept_when_the_server_ends(tmp_path: Path) -> None:
    for times in (1, 2):
        async with (
            serving(of_data(tmp_path)) as (omma, address),
            httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
        ):
            found = await omma.services.storage.catalog.audit(10)
            assert len(found) == times - 1 and {one.call for one in found} <= {"POST /images"}
            await rest.post("/images", files={"image": ("a.png", encoded(scene()))})

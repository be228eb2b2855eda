"""Who may call what: every route and every RPC, each role, two tenants."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.descriptor import ServiceDescriptor

from omma.catalog.api_key import Role
from omma.v1 import embedding_pb2, rerank_pb2, search_pb2, shard_pb2
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.e2e.roles import ADMIN, ANN, BOB, FILLED, ROUTES, RPCS, TENANT_ADMIN, Door, routes_of
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    settings = StandaloneSettings(
        data_dir=tmp_path_factory.mktemp("roles") / "data",
        http_port=0,
        grpc_port=0,
        gateway={"keys_max_age_seconds": 0.0},
    )
    async with (
        serving(settings) as (omma, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        yield Door(omma, rest, channel)


async def test_every_route_has_its_role(door: Door) -> None:
    routes = list(routes_of(door.omma.rest.routes))
    assert {(method, route.path) for route in routes for method in route.methods} == ROUTES.keys()
    keys = {role: await door.key(ANN, role) for role in Role}
    ranks = {role: rank for rank, role in enumerate(Role)}
    for (method, path), needed in ROUTES.items():
        for role, headers in (None, {}), *keys.items():
            body = None if method in ("GET", "DELETE") else {}
            answer = await door.rest.request(
                method,
                path.replace(":path}", "}").format(**FILLED),
                headers=headers,
                json=body,
                params={"wait_seconds": 0},
            )
            if needed is not None and role is None:
                expected: Any = 401
            elif needed is not None and role is not None and ranks[role] < ranks[needed]:
                expected = 403
            else:
                assert answer.status_code not in (401, 403, 500), (method, path, role, answer.text)
                continue
            assert answer.status_code == expected, (method, path, role, answer.text)
            assert answer.json()["kind"] == ("not_signed_in" if expected == 401 else "not_allowed")


async def test_every_rpc_has_its_role(door: Door) -> None:
    services: list[ServiceDescriptor] = [
        service
        for file in (search_pb2, embedding_pb2, shard_pb2, rerank_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
    ]
    assert {f"{service.full_name}/{name}" for service in services for name in service.methods_by_name} == RPCS.keys()
    keys = {role: await door.key(ANN, role) for role in Role}
    ranks = {role: rank for rank, role in enumerate(Role)}
    for path, needed in RPCS.items():
        call = door.channel.unary_unary(f"/{path}")
        for role, headers in (None, {}), *keys.items():
            try:
                await call(b"", metadata=list(headers.items()), timeout=30)
                code = grpc.StatusCode.OK
            except grpc.aio.AioRpcError as error:
                code = error.code()
            if role is None:
                assert code is grpc.StatusCode.UNAUTHENTICATED, (path, code)
            elif ranks[role] < ranks[needed]:
                assert code is grpc.StatusCode.PERMISSION_DENIED, (path, role, code)
            else:
                refused = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
                assert code not in (*refused, grpc.StatusCode.INTERNAL), (path, role, code)


async def test_a_tenants_administrator_reaches_nothing_of_another_tenant(door: Door) -> None:
    anns, bobs, admins = [
        await door.key(ANN, TENANT_ADMIN),
        await door.key(BOB, TENANT_ADMIN),
        await door.key(ANN, ADMIN),
    ]
    uploaded = await door.rest.post(
        "/images", files={"image": ("a.png", encoded(scene()))}, data={"external_id": "bob's"}, headers=bobs
    )
    picture = uploaded.json()["id"]
    job = (await door.rest.post("/images/ingest", json={"folder": "/nowhere-to-be"}, headers=admins)).json()["job_id"]
    every = (await door.rest.get("/keys", headers=admins)).json()["keys"]
    bobs_key = next(key["id"] for key in every if key["tenant"] == BOB)

    shown = (await door.rest.get("/keys", headers=anns)).json()["keys"]
    assert {key["tenant"] for key in shown} == {ANN} and {key["tenant"] for key in every} > {ANN}
    for method, path, body, status in (
        ("DELETE", f"/keys/{bobs_key}", None, 404),
        ("POST", "/keys", {"name": "spy", "role": "read", "tenant": BOB}, 403),
        ("POST", "/keys", {"name": "more", "role": "admin"}, 403),
        ("POST", "/images/ingest", {"folder": "/etc"}, 403),
        ("POST", "/images/ingest", {"source": "s3://bobs/pictures"}, 403),
        ("GET", f"/trace?place={picture}", None, 404),
        ("GET", "/trace?place=bob's", None, 404),
        ("GET", f"/dead-letters/{picture}", None, 404),
    ):
        answer = await door.rest.request(method, path, json=body, headers=anns)
        assert answer.status_code == status, (method, path, answer.text)
    for method in ("GET", "DELETE"):
        assert (await door.rest.request(method, f"/jobs/{job}", headers=bobs)).status_code == 404
    replayed = await door.rest.post("/dead-letters/replay", json={"image_ids": [picture]}, headers=anns)
    assert replayed.json()["replayed"] == []
    assert (await door.rest.get(f"/images/{picture}", headers=bobs)).json()["version"] == 1
    made = (await door.rest.post("/keys", json={"name": "a camera"}, headers=anns)).json()
    assert (made["tenant"], made["role"]) == (ANN, "write")
    assert (await door.rest.delete(f"/keys/{made['id']}", headers=anns)).json()["revoked"]

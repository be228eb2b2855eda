"""Who may call what: every route and every RPC, each role, two tenants."""

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from google.protobuf.descriptor import ServiceDescriptor

from omma.catalog.api_key import ApiKey, Role
from omma.identity import Tenant
from omma.v1 import embedding_pb2, rerank_pb2, search_pb2, shard_pb2
from services.gateway.callers.auth import hash_secret
from services.standalone.app import Omma
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

READ, WRITE, TENANT_ADMIN, ADMIN = Role
ROUTES: Final[dict[tuple[str, str], Role | None]] = {
    ("POST", "/search"): READ,
    ("GET", "/search"): READ,
    ("POST", "/search/batch"): READ,
    ("POST", "/search/similar"): READ,
    ("GET", "/search/similar"): READ,
    ("GET", "/image/{image_id}"): READ,
    ("GET", "/images/{image_id}/neighbours"): READ,
    ("POST", "/embed/image"): READ,
    ("POST", "/embed/text"): READ,
    ("POST", "/click"): READ,
    ("GET", "/images"): READ,
    ("POST", "/images/known"): READ,
    ("GET", "/images/{image_id}"): READ,
    ("GET", "/images/{image_id}/content"): READ,
    ("GET", "/images/{image_id}/thumbnail"): READ,
    ("GET", "/feedback"): READ,
    ("GET", "/qa/anomalies"): READ,
    ("POST", "/qa/anomalies"): TENANT_ADMIN,
    ("POST", "/qa/auto-tags"): TENANT_ADMIN,
    ("DELETE", "/qa/auto-tags"): TENANT_ADMIN,
    ("GET", "/duplicates"): READ,
    ("POST", "/duplicates/merge"): WRITE,
    ("POST", "/duplicates/split"): WRITE,
    ("POST", "/search/cluster"): WRITE,
    ("POST", "/feedback"): WRITE,
    ("POST", "/images"): WRITE,
    ("PATCH", "/images/{image_id}"): WRITE,
    ("DELETE", "/images/{image_id}"): WRITE,
    ("POST", "/images/{image_id}/restore"): WRITE,
    ("POST", "/images/ingest"): TENANT_ADMIN,
    ("GET", "/jobs"): READ,  # those of kinds that it may see
    ("GET", "/jobs/{job_id}"): READ,  # and what the job's kind needs
    ("DELETE", "/jobs/{job_id}"): READ,
    ("POST", "/images/presign"): TENANT_ADMIN,
    ("PUT", "/uploads/{name}"): None,  # whoever has an address
    ("GET", "/vectors"): TENANT_ADMIN,
    ("POST", "/vectors"): TENANT_ADMIN,
    ("POST", "/ingest"): TENANT_ADMIN,
    ("GET", "/jobs/{job_id}/downloads"): TENANT_ADMIN,
    ("GET", "/keys"): TENANT_ADMIN,
    ("POST", "/keys"): TENANT_ADMIN,
    ("DELETE", "/keys/{id}"): TENANT_ADMIN,
    ("GET", "/dead-letters"): TENANT_ADMIN,
    ("GET", "/dead-letters/{image_id}"): TENANT_ADMIN,
    ("POST", "/dead-letters/replay"): TENANT_ADMIN,
    ("GET", "/trace"): TENANT_ADMIN,
    ("GET", "/stats"): ADMIN,
    ("GET", "/audit"): ADMIN,
    ("GET", "/insights"): TENANT_ADMIN,
    ("GET", "/quotas"): TENANT_ADMIN,
    ("PUT", "/quotas/{tenant}"): ADMIN,
    ("DELETE", "/quotas/{tenant}"): ADMIN,
    ("POST", "/verify"): ADMIN,
    ("POST", "/erase"): ADMIN,
    ("GET", "/rollouts"): ADMIN,
    ("POST", "/rollouts"): ADMIN,
    ("GET", "/rollouts/{id}"): ADMIN,
    ("POST", "/rollouts/{id}/pause"): ADMIN,
    ("POST", "/rollouts/{id}/resume"): ADMIN,
    ("POST", "/rollouts/{id}/canary"): ADMIN,
    ("POST", "/rollouts/{id}/judgments"): ADMIN,
    ("POST", "/rollouts/{id}/promote"): ADMIN,
    ("POST", "/rollouts/{id}/rollback"): ADMIN,
    ("POST", "/rollouts/{id}/abort"): ADMIN,
    ("POST", "/rollouts/{id}/retire"): ADMIN,
    ("GET", "/experiments"): ADMIN,
    ("POST", "/experiments"): ADMIN,
    ("GET", "/experiments/{name}"): ADMIN,
    ("POST", "/experiments/{name}/promote"): ADMIN,
    ("POST", "/experiments/{name}/stop"): ADMIN,
    ("GET", "/indexes"): ADMIN,
    ("GET", "/spaces"): ADMIN,
    ("POST", "/spaces"): ADMIN,
    ("GET", "/metrics"): None,  # of a loopback address; else ADMIN
    ("GET", "/health"): None,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/docs"): None,
    ("GET", "/redoc"): None,
    ("GET", "/"): None,
    ("GET", "/ui/{path:path}"): None,
    ("POST", "/ui/session"): None,
    ("GET", "/ui/session"): None,
    ("DELETE", "/ui/session"): None,
}
RPCS: Final[dict[str, Role]] = {
    "omma.v1.SearchService/Search": READ,
    "omma.v1.SearchService/Get": READ,
    "omma.v1.SearchService/Upsert": WRITE,
    "omma.v1.SearchService/Delete": WRITE,
    "omma.v1.EmbeddingService/Embed": ADMIN,
    "omma.v1.EmbeddingService/Describe": ADMIN,
    "omma.v1.EmbeddingService/TrainedOn": ADMIN,
    "omma.v1.ShardService/Search": ADMIN,
    "omma.v1.ShardService/Fetch": ADMIN,
    "omma.v1.ShardService/Stats": ADMIN,
    "omma.v1.ShardService/List": ADMIN,
    "omma.v1.ShardService/Digest": ADMIN,
    "omma.v1.ShardService/Erase": ADMIN,
    "omma.v1.RerankService/Rerank": ADMIN,
}
FILLED: Final = {
    "path": "health",
    "image_id": str(10**12),
    "job_id": "none",
    "id": "0000",
    "name": "none",
    "tenant": "none",
}
ANN, BOB = Tenant("ann"), Tenant("bob")


@dataclass
class Door:
    omma: Omma
    rest: httpx.AsyncClient
    channel: grpc.aio.Channel

    async def key(self, tenant: Tenant, role: Role) -> dict[str, str]:
        """Headers, and metadata, of a new key."""
        secret = secrets.token_hex(16)
        key = ApiKey(hash_secret(secret), f"{tenant}'s {role}", tenant, role, 0)
        await self.omma.services.storage.catalog.add_api_key(key)
        return {"authorization": f"Bearer {secret}"}


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


def routes_of(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes)


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

"""The role that each route and each RPC needs, and keys of every role."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import httpx
from fastapi.routing import APIRoute

from omma.catalog.api_key import ApiKey, Role
from omma.identity import Tenant
from services.gateway.callers.auth import hash_secret
from services.standalone.app import Omma

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


def routes_of(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes)

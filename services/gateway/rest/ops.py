"""GET /health, /healthz, /readyz and /metrics."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import omma
from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator
from services.gateway.health import Health
from services.gateway.rest.answers import JsonResponse
from services.gateway.rest.schemas import ops as shapes
from services.gateway.rest.signed_in import signed_in


def ops_router(health: Health, authenticator: Authenticator, *, metrics_open: bool) -> APIRouter:
    """metrics_open: to everyone, for a loopback address; else to admins."""
    router = APIRouter(tags=["operation"])
    admin = signed_in(authenticator, Role.ADMIN)

    @router.get("/health", **shapes.HEALTH)
    async def told() -> Response:
        """What answers here; 503 while it cannot search."""
        document = {**health.document(), "version": omma.__version__}
        return JsonResponse(document, 200 if health.ready else 503)

    @router.get("/healthz", **shapes.HEALTH)
    async def alive() -> Response:
        """The loop turns."""
        return JsonResponse({"ok": True})

    @router.get("/readyz", **shapes.HEALTH)
    async def ready() -> Response:
        """Searches may be sent here: by id and by vector also while the towers are away, which it says."""
        return JsonResponse({"ok": health.ready, **health.conditions()}, 200 if health.ready else 503)

    @router.get("/metrics", **shapes.METRICS)
    async def metrics(request: Request) -> Response:
        """Prometheus' text format."""
        if not metrics_open:
            await admin(request)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router

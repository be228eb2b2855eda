"""The REST face of a gateway from its first moment on: alive and not ready until the app is there."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from omma.errors import ReplicaDown
from services.gateway.rest.answers import JsonResponse
from services.gateway.rest.problems import problem


class Opening:
    """An ASGI app that listens before the storage is there: /healthz is 200 and the rest 503, until `app` is set."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _answer(scope["path"])(scope, receive, send)


def _answer(path: str) -> Response:
    if path == "/healthz":
        return JsonResponse({"ok": True})
    if path in ("/readyz", "/health"):
        return JsonResponse({"ok": False}, 503)
    return problem(ReplicaDown("This gateway is starting; try again.", retry_after_seconds=1.0))

"""/api/… is /…, for clients and proxies that want a prefix."""

from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = "/api"


class ApiPrefix:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(f"{_PREFIX}/"):
            await self._app(scope, receive, send)
            return
        inner = {**scope, "path": path[len(_PREFIX) :], "raw_path": scope.get("raw_path", b"")[len(_PREFIX) :]}
        try:
            await self._app(inner, receive, send)
        finally:
            scope.update({name: inner[name] for name in ("route", "path_params") if name in inner})

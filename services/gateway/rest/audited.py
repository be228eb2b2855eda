"""Around every REST request that may change something: who made it and what came of it goes to the audit trail."""

from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.callers.audit import AuditTrail
from services.gateway.callers.changes import noting

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CHANGE_NOTHING: Final = frozenset(
    {
        ("POST", "/search"),
        ("POST", "/search/batch"),
        ("POST", "/search/similar"),
        ("POST", "/embed/image"),
        ("POST", "/embed/text"),
        ("POST", "/click"),  # kept as an interaction
        ("DELETE", "/ui/session"),  # a browser forgets its cookie
    }
)
"""Method and route."""
_GONE: Final = "499"
"""The caller hung up first."""


class Audited:
    """Reads pass by. What nobody was let in for is not kept, so that guessing keys fills no table."""

    def __init__(self, app: ASGIApp, trail: AuditTrail) -> None:
        self._app = app
        self._trail = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        outcome = _GONE

        async def told(message: Message) -> None:
            nonlocal outcome
            if message["type"] == "http.response.start":
                outcome = str(message["status"])
            await send(message)

        with noting() as change:
            try:
                await self._app(scope, receive, told)
            finally:
                route: Any = scope.get("route")
                path = str(getattr(route, "path", "none"))
                if (scope["method"], path) not in CHANGE_NOTHING:
                    change.object = change.object or " ".join(map(str, scope.get("path_params", {}).values()))[:200]
                    self._trail.add(change, f"{scope['method']} {path}", outcome)

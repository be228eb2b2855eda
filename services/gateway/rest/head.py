"""HEAD wherever GET is: the same headers, no body."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware: what is inside sees a GET, whose body stays here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            await send(message if message["type"] == "http.response.start" else _without_body(message))

        inner: dict[str, Any] = {**scope, "method": "GET"}
        try:
            await self._app(inner, receive, send_headers)
        finally:
            scope.update({name: inner[name] for name in ("route", "path_params") if name in inner})


def _without_body(message: Message) -> Message:
    return {**message, "body": b""} if message["type"] == "http.response.body" else message

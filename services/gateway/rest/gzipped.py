"""Long JSON goes out in gzip to those who take it."""

import gzip
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LEVEL: Final = 1
"""The fastest: it runs on the loop."""


class Gzipped:
    """ASGI middleware: JSON that comes in one piece. Pictures and streams are left as they are."""

    def __init__(self, app: ASGIApp, *, least_bytes: int) -> None:
        """least_bytes: of an answer; 0: none."""
        self._app = app
        self._least_bytes = least_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._least_bytes or not _takes_gzip(scope):
            await self._app(scope, receive, send)
            return
        begun: list[Message] = []

        async def send_zipped(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_json(message):
                begun.append(message)
                return
            if begun:
                start = begun.pop()
                content = message.get("body", b"")
                if len(content) >= self._least_bytes and not message.get("more_body"):
                    content = gzip.compress(content, _LEVEL, mtime=0)
                    message = {**message, "body": content}
                    start = _with_headers(start, len(content))
                await send(start)
            await send(message)

        await self._app(scope, receive, send_zipped)


def _takes_gzip(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            asked = [one.replace(b" ", b"").lower() for one in value.split(b",")]
            return any(one == b"gzip" or (one.startswith(b"gzip;") and not one.endswith(b"q=0")) for one in asked)
    return False


def _is_json(start: Message) -> bool:
    said = dict(start.get("headers", ()))
    return b"json" in said.get(b"content-type", b"") and b"content-encoding" not in said


def _with_headers(start: Message, size: int) -> Message:
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    added = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"), (b"content-length", str(size).encode())]
    return {**start, "headers": [*kept, *added]}

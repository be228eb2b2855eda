"""The HTTP server of the REST face."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_BACKLOG: Final = 2048
_LEAVE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
_MAX_HEAD_BYTES: Final = 64 * 1024
"""Of a request's first line and headers, as far as they come later than the read that began them."""


def listening(address: str, port: int) -> socket.socket:
    """A bound socket that listens; port 0: a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With the protocol named, asyncio turns Nagle off; unnamed, an answer waits 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    bound.listen(_BACKLOG)
    return bound


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's quick parser, which takes a head of any length."""

    _in_head = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > _MAX_HEAD_BYTES:
            self._in_head = False
            self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when it stops."""

    def __init__(self, app: ASGIApp, drain_seconds: float) -> None:
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http=BoundedHttp,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=round(drain_seconds),
            )
        )
        self._app = app
        self._leaving = False
        self._drain_seconds = drain_seconds
        self._serving: asyncio.Task[None] | None = None

    def begin(self, bound: socket.socket) -> None:
        """Answer on this socket from now on."""
        self._serving = asyncio.create_task(self.serve([bound]), name="REST")

    async def leave(self) -> None:
        """Answer on, and tell each caller to come by another connection, until there are none or some seconds have
        gone: one that were closed between two requests would lose the next one.
        """
        self._leaving = True
        until = time.monotonic() + min(self._drain_seconds, _LEAVE_SECONDS)
        while self.server_state.connections and time.monotonic() < until:  # noqa: ASYNC110  uvicorn tells nobody
            await asyncio.sleep(_LOOK_SECONDS)

    async def end(self) -> None:
        """Take nothing new, answer what is under way within drain_seconds. May be repeated."""
        self.should_exit = True
        if self._serving is not None:
            await self._serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if self._leaving and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, told)

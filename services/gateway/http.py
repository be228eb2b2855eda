"""The HTTP server of the REST face."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

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
    """uvicorn's quick parser, which takes a head of any length, waits for it for ever, and reads on for as long as a
    caller sends a body that was answered.
    """

    _in_head = False
    _head_bytes = 0
    _whole = True
    """The last request that began has come whole."""
    _cut: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, sending_seconds: float, **options: Any) -> None:
        """sending_seconds: for a head to come, and for what is left of a body whose answer is out."""
        super().__init__(*args, **options)
        self._sending_seconds = sending_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._cut_unless_in_time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._in_head = False
            self.send_400_response("The request's head is too long.")
        elif self._cut is None:
            self._cut_unless_in_time()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes, self._whole = True, 0, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._whole = True
        self._in_time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._whole and self._cut is None:
            self._cut_unless_in_time()

    def _cut_unless_in_time(self) -> None:
        self._cut = self.loop.call_later(self._sending_seconds, self._cut_off)

    def _in_time(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _cut_off(self) -> None:
        if self._in_head:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when it stops."""

    def __init__(self, app: ASGIApp, drain_seconds: float, *, sending_seconds: float) -> None:
        """sending_seconds: as BoundedHttp."""
        protocol: Any = partial(BoundedHttp, sending_seconds=sending_seconds)
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http=protocol,
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

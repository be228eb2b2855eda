"""The HTTP server of the REST face."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

_BACKLOG: Final = 2048


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


@asynccontextmanager
async def answering(app: FastAPI, bound: socket.socket, drain_seconds: float) -> AsyncIterator[None]:
    """Answers beside the block; then calls under way may end within drain_seconds, and nothing new is taken."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=round(drain_seconds),
        )
    )
    serving = asyncio.create_task(server.serve([bound]), name="http")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when it stops."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

"""`omma up`: both faces on their ports, from a held folder to a clean end."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from omma.errors import InvalidQuery, WrongState
from omma.process import begin, until_stopped
from omma.rpc.server import RpcServer
from services.gateway.callers.auth import is_loopback
from services.gateway.http import HttpServer, listening
from services.standalone.app import Omma, opened
from services.standalone.data_dir import DataDir, ServerAddress
from services.standalone.settings import StandaloneSettings

_TOKEN_BYTES: Final = 32

logger = logging.getLogger(__name__)


async def serve(
    settings: StandaloneSettings, on_ready: Callable[[ServerAddress], None], *, other_ports: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT. on_ready: told the address once searches are answered.

    other_ports: take free ports when the usual ones are taken. Raises as `opened`; WrongState for a taken port;
    InvalidQuery when the address needs an API key and there is none.
    """
    begin(settings)
    stopped = asyncio.create_task(until_stopped(), name="signals")
    try:
        async with serving(settings, other_ports=other_ports) as (_, address):
            on_ready(address)
            await stopped
            logger.info("stopping")
    finally:
        stopped.cancel()


@asynccontextmanager
async def serving(
    settings: StandaloneSettings, *, other_ports: bool = False
) -> AsyncIterator[tuple[Omma, ServerAddress]]:
    """Both faces, listening and ready while the block runs. Raises as `serve`."""
    data = DataDir(settings.data_dir)
    async with AsyncExitStack() as stack:
        http = stack.enter_context(_http_socket(settings, other_ports))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        omma = await stack.enter_async_context(opened(settings, owner_secret=token))
        await _require_key(settings, omma)
        rpc = RpcServer(omma.rpc, credentials=settings.server_credentials(), probe_address=settings.probe_address)
        grpc_port = await _start_rpc(rpc, settings, other_ports)
        stack.push_async_callback(rpc.stop, settings.drain_seconds)
        rest = HttpServer(omma.rest, settings.drain_seconds, sending_seconds=settings.gateway.body_seconds)
        rest.begin(http)
        stack.push_async_callback(rest.end)
        host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
        url = f"http://{host}:{http.getsockname()[1]}"
        address = ServerAddress(url, f"{host}:{grpc_port}", os.getpid(), token)
        data.announce(address)
        await omma.services.until_ready()
        await rpc.set_ready(True)
        yield omma, address
        omma.health.draining = True
        await rpc.set_ready(False)


def _http_socket(settings: StandaloneSettings, other_ports: bool) -> socket.socket:
    """Bound before anything is opened, so that a taken port is said first."""
    try:
        return listening(settings.bind, settings.http_port)
    except OSError as error:
        if other_ports:
            return listening(settings.bind, 0)
        raise WrongState(
            f"{settings.bind}:{settings.http_port} cannot be bound ({error.strerror}); set OMMA_HTTP_PORT.",
            field="OMMA_HTTP_PORT",
        ) from None


async def _start_rpc(server: RpcServer, settings: StandaloneSettings, other_ports: bool) -> int:
    host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    try:
        return await server.start(f"{host}:{settings.grpc_port}")
    except OSError:
        if not other_ports:
            raise WrongState(
                f"{host}:{settings.grpc_port} cannot be bound; set OMMA_GRPC_PORT.", field="OMMA_GRPC_PORT"
            ) from None
        return await server.start(f"{host}:0")


async def _require_key(settings: StandaloneSettings, omma: Omma) -> None:
    if is_loopback(settings.bind) or settings.gateway.jwt.issuer:
        return
    if not any(not key.revoked for key in await omma.services.storage.catalog.api_keys()):
        raise InvalidQuery(
            f"OMMA_BIND={settings.bind} can be reached from other machines: make an API key first, with "
            "`omma key create NAME --role admin`, or name one with OMMA_ADMIN_KEY_FILE, or an issuer of tokens.",
            field="OMMA_BIND",
        )

"""The composition root: every service in this process, on one folder, with both faces."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from omma.rpc.server import Registration
from omma.storage import open_storage
from services.gateway.health import Health
from services.standalone.data_dir import DataDir
from services.standalone.faces import authenticator_of, rpc_face
from services.standalone.services import Services, start_services
from services.standalone.settings import StandaloneSettings


@dataclass(frozen=True, slots=True)
class Omma:
    """rest: an ASGI application. rpc: what a gRPC server hosts."""

    services: Services
    health: Health
    rest: FastAPI
    rpc: tuple[Registration, ...]


@asynccontextmanager
async def opened(settings: StandaloneSettings, *, trusted: bool = False) -> AsyncIterator[Omma]:
    """Everything, running, until the block ends; then drained, flushed and closed.

    trusted: whoever calls is the folder's owner and needs no key: for commands that open the folder themselves.
    Raises WrongState (another process has the folder, another model), Absent (no model), Corrupt, StorageFull.
    """
    data = DataDir(settings.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(data.held())
        # A server is waited for by one that starts; a command says at once that it is away.
        storage = await open_storage(settings, stack, patience_seconds=0 if trusted else None)
        authenticator = authenticator_of(settings, storage.catalog, trusted=trusted)
        services = await start_services(settings, data, storage, authenticator, stack)
        gateway = services.gateway
        yield Omma(services, gateway.health, gateway.rest, (gateway.rpc, *rpc_face(services, authenticator)))

"""The composition root: every service in this process, on one folder, with both faces."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from omma.rpc.server import Registration
from omma.storage import open_storage
from services.gateway.callers.first_key import ensure_first_key
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
async def opened(settings: StandaloneSettings, *, trusted: bool = False, owner_secret: str = "") -> AsyncIterator[Omma]:
    """Everything, running, until the block ends; then drained, flushed and closed.

    trusted: whoever calls is the folder's owner and needs no key: for commands that open the folder themselves.
    owner_secret: whoever sends it is, too: for commands that ask the server of the folder.
    Raises WrongState (another process has the folder, another model), Absent (no model), Corrupt, StorageFull.
    """
    data = DataDir(settings.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(data.held())
        # A server is waited for by one that starts; a command says at once that it is away.
        storage = await open_storage(settings, stack, patience_seconds=0 if trusted else None)
        if not trusted:
            await ensure_first_key(storage.catalog, settings)
        authenticator = authenticator_of(settings, storage.catalog, trusted=trusted, owner_secret=owner_secret)
        services = await start_services(settings, data, storage, authenticator, stack)
        gateway = services.gateway
        yield Omma(services, gateway.health, gateway.rest, (gateway.rpc, *rpc_face(services)))

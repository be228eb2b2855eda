"""Both faces of a gateway on free ports, over parts that do as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.catalog.api_key import ApiKey, Role
from omma.description import RowLimits
from omma.identity import Tenant
from omma.images import PictureLimits
from omma.rpc.server import RpcServer
from omma.v1 import search_pb2_grpc
from services.gateway.callers.audit import AuditTrail
from services.gateway.callers.auth import Authenticator, hash_secret
from services.gateway.grpc.entrance import Entrance
from services.gateway.grpc.servicer import SearchServicer
from services.gateway.health import Health
from services.gateway.http import HttpServer, listening
from services.gateway.pictures.core import PictureCore
from services.gateway.rest.app import create_app
from services.gateway.rest.curation import Curation
from services.gateway.rest.operation import Operation
from services.gateway.settings import GatewaySettings
from services.gateway.sharing.bodies import Bodies
from services.gateway.surroundings import Surroundings
from tests.unit.search_world import World


class Hanging:
    """Any part: each of its calls waits for ever. begun, ended: calls that did, by name."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.reached = asyncio.Event()

    def left(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.begun == self.ended

    def __getattr__(self, name: str) -> Any:
        async def call(*_: Any, **__: Any) -> Any:
            self.begun.append(name)
            self.reached.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append(name)

        return call


class Keys:
    """A catalog of two tenants' keys: `ann` and `bob`."""

    async def api_keys(self) -> list[ApiKey]:
        return [
            ApiKey(name=name, tenant=Tenant(name), role=Role.ADMIN, hash=hash_secret(name), created_at_ms=0)
            for name in ("ann", "bob")
        ]


@dataclass(frozen=True)
class Faces:
    port: int
    grpc_port: int
    world: World
    parts: Hanging
    bodies: Bodies

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Connection]":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc_port}")


@dataclass(frozen=True)
class Connection:
    """A caller who says what it likes, as slowly as it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, what: str | bytes) -> None:
        self.writer.write(what.encode() if isinstance(what, str) else what)
        await self.writer.drain()

    async def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        head = {"host": "localhost", "x-api-key": "ann", **{name.replace("_", "-"): v for name, v in headers.items()}}
        if body is not None and "transfer-encoding" not in head:
            head.setdefault("content-length", str(len(body)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
        await self.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b""))

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and document of the next answer."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            body = await self.reader.readexactly(length)
        return int(head.split()[1]), json.loads(body) if body else {}


@asynccontextmanager
async def faces(folder: Path, *, resolver_originals: Any = None, **settings: Any) -> AsyncIterator[Faces]:
    """resolver_originals: what searches read originals from; a folder unless given."""
    given = GatewaySettings(**settings)
    parts: Any = Hanging()
    async with AsyncExitStack() as stack:
        world = World(resolver_originals or Originals(FolderBlobs(folder)))
        executor = ThreadPoolExecutor(1)
        stack.callback(executor.shutdown, wait=False)
        authenticator = Authenticator(Keys(), open_without_keys=False)  # type: ignore[arg-type]
        pictures = PictureCore(
            parts, parts, parts, parts, executor, picture_limits=PictureLimits(), row_limits=RowLimits()
        )
        trail = AuditTrail(parts)
        bodies = Bodies(given.max_body_bytes, given.shares)
        app = create_app(
            world.core,
            pictures,
            parts,
            Operation(*[parts] * 12),
            authenticator,
            Health(world.indexes, Surroundings(parts, parts, world.indexes)),
            given,
            curation=Curation(parts, parts, parts, parts, parts, parts),
            bodies=bodies,
            trail=trail,
            metrics_open=True,
        )
        bound = listening("127.0.0.1", 0)
        port = bound.getsockname()[1]
        rest = HttpServer(app, 0.1, sending_seconds=given.body_seconds)
        rest.begin(bound)
        stack.push_async_callback(rest.end)
        entrance = Entrance(authenticator, bodies, given.shares, trail, seconds=given.body_seconds)
        servicer = SearchServicer(world.core, pictures, entrance, seconds=given.request_seconds)
        register = entrance.before(partial(search_pb2_grpc.add_SearchServiceServicer_to_server, servicer))
        server = RpcServer([register])
        grpc_port = await server.start("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0)
        yield Faces(port, grpc_port, world, parts, bodies)

"""One replica of one shard as a process: `python -m services.nn_shard`."""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from omma.catalog.interface import Catalog
from omma.errors import Absent, WrongState
from omma.index import Index, IndexState
from omma.persistence import persist, until_there
from omma.process import begin, until_stopped
from omma.rpc.server import RpcServer
from omma.space import Space
from omma.storage import StorageSettings, open_storage
from omma.v1 import shard_pb2_grpc
from services.nn_shard.replica import Replica
from services.nn_shard.servicer import ShardServicer
from services.nn_shard.settings import ShardSettings
from services.nn_shard.shard import Shard

logger = logging.getLogger(__name__)


class ServedShardSettings(ShardSettings):
    """What one process is told beside what every shard is."""

    index: str = Field("", max_length=200, description="Empty for the live one.")
    number: int = Field(0, ge=0, le=65_535, description="Which of the index's shards, from 0.")
    replica: int | None = Field(
        None, ge=0, le=65_535, description="Which replica of it; unless told, the number at the end of the host's name."
    )
    snapshot_seconds: float = Field(
        300.0,
        ge=0,
        le=604_800,
        description="Between two snapshots to object storage; 0: none, for a folder that lasts.",
    )


class ShardProcess(StorageSettings):
    """What reaches the storage, OMMA_BIND, OMMA_GRPC_PORT and the others of a process, and OMMA_SHARD__…

    OMMA_DATA_DIR is the replica's own disk, whatever servers the storage is on.
    """

    service: ClassVar[str] = "omma-shard"
    shard: ServedShardSettings = Field(default_factory=ServedShardSettings)


async def main() -> None:
    """Serve until SIGTERM or SIGINT, once storage and index are there; alive and not ready until then."""
    settings = ShardProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        server = RpcServer(None, credentials=settings.server_credentials(), probe_address=settings.probe_address)
        port = await server.start(settings.grpc_address)
        stack.push_async_callback(server.stop, 0.0)
        storage = await open_storage(settings, stack)
        index, space = await until_there("the index", partial(_served, storage.catalog, settings))
        number = settings.shard.number
        shard = Shard(
            folder=_folder(settings, index),
            space=space,
            index=index,
            shard=number,
            log=storage.log,
            blobs=storage.blobs,
            catalog=storage.catalog,
            settings=settings.shard,
            holder=f"{socket.gethostname()}:{os.getpid()}",
        )
        servicer = ShardServicer(lambda _: shard.client)
        await server.register([partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, servicer)])
        logger.info("the shard serves", extra={"address": settings.bind, "port": port, "index": index.id})
        retired = partial(_until_retired, storage.catalog, index, settings.shard.catalog_seconds)
        if await _serve(shard, server, settings.drain_seconds, retired):
            await asyncio.to_thread(shutil.rmtree, _folder(settings, index), ignore_errors=True)
            logger.warning("index %s is retired: its processes may go", index.id)
            await until_stopped()


def replica_of(settings: ServedShardSettings, hostname: str = "") -> int:
    """The replica's number: told, or that of a StatefulSet's pod (`omma-shard-2-1` is 1), or 0."""
    if settings.replica is not None:
        return settings.replica
    ordinal = (hostname or socket.gethostname()).rpartition("-")[2]
    return int(ordinal) if ordinal.isdecimal() else 0


def _folder(settings: ShardProcess, index: Index) -> Path:
    """Of this replica."""
    own = settings.shard
    return settings.data_dir / "shards" / index.id / str(own.number) / f"replica-{replica_of(own)}"


async def _served(catalog: Catalog, settings: ShardProcess) -> tuple[Index, Space]:
    """The index of this name, or the live one, and its space. Raises Absent while the catalog has none, or has retired
    it; WrongState for a shard that it does not have.
    """
    name, number = settings.shard.index, settings.shard.number
    for one in await catalog.indexes():
        if one.id != name and (name or one.state is not IndexState.LIVE):
            continue
        if one.state is IndexState.RETIRED:
            await asyncio.to_thread(shutil.rmtree, _folder(settings, one), ignore_errors=True)
            raise Absent(f"Index {one.id} is retired: its processes may go.")
        if number >= one.shards:
            raise WrongState(f"Index {one.id} has {one.shards} shards, no {number}.", field="OMMA_SHARD__NUMBER")
        return one, next(space for space in await catalog.spaces() if space.id == one.space)
    raise Absent(f"The catalog has no index {name!r} yet." if name else "The catalog has no live index yet.")


async def _serve(
    shard: Shard, server: RpcServer, drain_seconds: float, until_retired: Callable[[], Awaitable[None]]
) -> bool:
    """Whether it ends because the index is retired; else it was told to stop."""
    async with asyncio.TaskGroup() as group:
        stopped = group.create_task(until_stopped())
        retired = asyncio.ensure_future(until_retired())
        running = [group.create_task(shard.run()), group.create_task(_tell_readiness(shard.replica, server)), stopped]
        await asyncio.wait({stopped, retired}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            await server.stop(drain_seconds)
        else:
            retired.result()  # what it raises is no retirement
        for task in [*running, retired]:
            task.cancel()
    await server.set_ready(False)
    return not stopped.done() or stopped.cancelled()


async def _until_retired(catalog: Catalog, index: Index, every_seconds: float) -> None:
    """Looked at as seldom as the codebook. Only a row that says so retires an index: no error does, and no absence."""

    async def is_retired() -> bool:
        return any(one.id == index.id and one.state is IndexState.RETIRED for one in await catalog.indexes())

    while True:
        await asyncio.sleep(every_seconds)
        if await persist("looking whether the index is retired", is_retired, every_seconds):
            return


async def _tell_readiness(replica: Replica, server: RpcServer) -> None:
    while True:
        await replica.until_healthy()
        await server.set_ready(True)
        await replica.until_healthy(False)
        await server.set_ready(False)

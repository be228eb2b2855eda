"""One replica of one shard as a process: `python -m services.nn_shard`."""

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from pydantic import Field

from omma.catalog.interface import Catalog
from omma.index import Index, IndexState
from omma.persistence import persist
from omma.process import begin, until_stopped
from omma.rpc.server import RpcServer
from omma.space import Space
from omma.storage import StorageSettings, open_storage
from omma.v1 import shard_pb2_grpc
from services.nn_shard.replica import Replica
from services.nn_shard.servicer import ShardServicer
from services.nn_shard.settings import ShardSettings
from services.nn_shard.shard import Shard
from services.nn_shard.supervision import SOON_SECONDS

_RETRY_SECONDS: Final = 0.1

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

    shard: ServedShardSettings = Field(default_factory=ServedShardSettings)


async def main() -> None:
    """Serve until SIGTERM or SIGINT, once the catalog has the index."""
    settings = ShardProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        storage = await open_storage(settings, stack)
        index, space = await until_served(storage.catalog, settings.shard.index, settings.shard.catalog_seconds)
        number = settings.shard.number
        shard = Shard(
            folder=settings.data_dir / "shards" / index.id / str(number) / f"replica-{replica_of(settings.shard)}",
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
        server = RpcServer(
            [partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, servicer)],
            credentials=settings.server_credentials(),
        )
        port = await server.start(settings.grpc_address)
        logger.info("the shard serves", extra={"address": settings.bind, "port": port, "index": index.id})
        await _serve(shard, server, settings.drain_seconds)


def replica_of(settings: ServedShardSettings, hostname: str = "") -> int:
    """The replica's number: told, or that of a StatefulSet's pod (`omma-shard-2-1` is 1), or 0."""
    if settings.replica is not None:
        return settings.replica
    ordinal = (hostname or socket.gethostname()).rpartition("-")[2]
    return int(ordinal) if ordinal.isdecimal() else 0


async def until_served(catalog: Catalog, index: str, look_seconds: float) -> tuple[Index, Space]:
    """The index of this id, or the live one, and its space; waits while the catalog has none yet, or is away."""

    async def look() -> tuple[Index, Space] | None:
        for one in await catalog.indexes():
            if one.id == index or (not index and one.state is IndexState.LIVE):
                return one, next(space for space in await catalog.spaces() if space.id == one.space)
        return None

    while True:
        found = await persist("look for the index", look, _RETRY_SECONDS, longest_wait_seconds=SOON_SECONDS)
        if found is not None:
            return found
        logger.info("waiting for the index", extra={"index": index or "the live one"})
        await asyncio.sleep(look_seconds)


async def _serve(shard: Shard, server: RpcServer, drain_seconds: float) -> None:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(shard.run()), group.create_task(_tell_readiness(shard.replica, server))]
        await until_stopped()
        await server.stop(drain_seconds)
        for task in running:
            task.cancel()


async def _tell_readiness(replica: Replica, server: RpcServer) -> None:
    while True:
        await replica.until_healthy()
        await server.set_ready(True)
        await replica.until_healthy(False)
        await server.set_ready(False)

"""Real replicas in processes of their own, and the fan-out that asks them, for the tests of faults."""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.parts.ports import free_port
from omma.hits import merge
from omma.index import Index
from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from services.egs.client import Embedder
from services.gateway.search.fanout import Coverage, Fanout, FanoutSettings, ShardOutcome
from services.nn_shard.client import RemoteShard
from services.topology.indexes import ServedIndex
from tests.integration.shard_world import DIM, SPACE, World, query

SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass
class ReplicaProcess:
    """One replica; killed, stopped and started again on the same port and disk."""

    folder: Path
    shard: int
    replica: int
    port: int = field(default_factory=lambda: free_port("127.0.0.1"))
    process: Process | None = None

    async def start(self) -> None:
        environment = {
            **os.environ,
            "OMMA_DATA_DIR": str(self.folder),
            "OMMA_GRPC_PORT": str(self.port),
            "OMMA_METRICS_PORT": "0",
            "OMMA_LOG_LEVEL": "warning",
            "OMMA_SHARD__NUMBER": str(self.shard),
            "OMMA_SHARD__REPLICA": str(self.replica),
            "OMMA_SHARD__POLL_SECONDS": "0.1",
        }
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.nn_shard", env=environment)

    async def until_ready(self) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            request = health_pb2.HealthCheckRequest()
            async for health in health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True):
                if health.status == SERVING:
                    return

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@dataclass
class Cluster:
    """replicas: of shard 0, of shard 1, …"""

    index: Index
    replicas: list[list[ReplicaProcess]]
    served: ServedIndex
    fanout: Fanout
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))

    async def search(self, vector: Any = None, **options: Any) -> tuple[list[int], list[ShardOutcome], Coverage]:
        vector = normalise(self.random.standard_normal(DIM)) if vector is None else vector
        receipts = options.pop("receipts", ())
        deadline = Deadline.after(options.pop("seconds", 5.0))
        asked = query(self.index, vector, **{"exact": True, **options})
        outcomes = await self.fanout.search(self.served, asked, receipts, deadline)
        hits = merge([one.answer.hits for one in outcomes if one.answer is not None], asked.k)
        return hits.ids.tolist(), outcomes, self.fanout.coverage(self.served, outcomes)

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Search until something is so: what the fan-out learns, it learns from searches."""
        async with asyncio.timeout(seconds):
            while not holds():
                await self.search()


@asynccontextmanager
async def cluster(
    world: World, shards: int, *, copied: Path | None = None, settings: FanoutSettings | None = None
) -> AsyncIterator[Cluster]:
    """Two replicas a shard. copied: the second ones live on a copy of the storage as it is now, made there: the log
    that they read gets nothing more, while they answer.
    """
    index = await world.register(shards)
    second = world.folder
    if copied is not None:
        shutil.copytree(world.folder, copied)
        second = copied
    replicas = [[ReplicaProcess(world.folder, shard, 0), ReplicaProcess(second, shard, 1)] for shard in range(shards)]
    async with AsyncExitStack() as stack, asyncio.timeout(90):
        every = [one for group in replicas for one in group]
        for one in every:
            stack.push_async_callback(one.kill)
            await one.start()
        await asyncio.gather(*(one.until_ready() for one in every))
        clients = tuple(tuple(RemoteShard.at(f"127.0.0.1:{one.port}") for one in group) for group in replicas)
        for client in (one for group in clients for one in group):
            stack.push_async_callback(client.close)
        served = ServedIndex(index, SPACE, clients, cast(Embedder, None))
        made = Cluster(index, replicas, served, Fanout(settings))
        await made.until(lambda: all(client.connected for group in clients for client in group))
        yield made

"""A shard as a process of its own: killed, started again, ended by SIGTERM."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from shard_world import DIM, World, query, world

from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from services.nn_shard.client import RemoteShard

__all__ = ["world"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process(folder: Path, port: int) -> AsyncIterator[tuple[Process, RemoteShard]]:
    environment = {
        **os.environ,
        "OMMA_DATA_DIR": str(folder),
        "OMMA_GRPC_PORT": str(port),
        "OMMA_METRICS_PORT": "0",
        "OMMA_SHARD__CHECKPOINT_SECONDS": "0.1",
        "OMMA_SHARD__MAINTENANCE_SECONDS": "0.1",
    }
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.nn_shard", env=environment)
    target = f"127.0.0.1:{port}"
    remote = RemoteShard.at(target)
    try:
        async with grpc.aio.insecure_channel(target) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            async for health in watch:
                if health.status == health_pb2.HealthCheckResponse.SERVING:
                    break
        yield started, remote
    finally:
        await remote.close()
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_ready_when_caught_up_and_the_same_after_kill_and_after_term(world: World) -> None:
    index = await world.register()
    await world.put(400)
    await world.send([world.delete(one, 2) for one in range(1, 50)])
    await world.log.close()
    await world.catalog.close()
    asked = query(index, normalise(np.ones(DIM)), k=1_000, exact=True)
    answers = []
    for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        async with asyncio.timeout(60), process(world.folder, free_port()) as (started, remote):
            answer = await remote.search(asked, Deadline.after(10))
            answers.append((answer.hits.ids.tolist(), answer.hits.scores.tolist()))
            started.send_signal(end)
            assert await started.wait() == (0 if end is signal.SIGTERM else -signal.SIGKILL)
    assert sorted(answers[0][0]) == sorted(world.live())
    assert answers[1:] == answers[:1] * 2

"""A shard as a process of its own: killed, started again, ended by SIGTERM."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.parts.ports import free_port
from omma.hits import Degraded
from omma.identity import ImageId, Receipt, Version
from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from services.nn_shard.checkpoint import Stamp
from services.nn_shard.client import RemoteShard
from services.nn_shard.engine import Checkpoint
from services.nn_shard.main import ServedShardSettings, replica_of
from tests.integration.shard_world import DIM, World, query, world

__all__ = ["world"]


@asynccontextmanager
async def process(folder: Path, port: int, **settings: str) -> AsyncIterator[tuple[Process, RemoteShard]]:
    environment = {
        **os.environ,
        "OMMA_DATA_DIR": str(folder),
        "OMMA_GRPC_PORT": str(port),
        "OMMA_METRICS_PORT": "0",
        "OMMA_SHARD__CHECKPOINT_SECONDS": "0.1",
        "OMMA_SHARD__MAINTENANCE_SECONDS": "0.1",
        **settings,
    }
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.nn_shard", env=environment)
    target = f"127.0.0.1:{port}"
    remote = RemoteShard.at(target)
    try:
        async with grpc.aio.insecure_channel(target) as channel:
            await until_health(watch(channel), health_pb2.HealthCheckResponse.SERVING)
        yield started, remote
    finally:
        await remote.close()
        if started.returncode is None:
            started.kill()
        await started.wait()


def watch(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall[Any, health_pb2.HealthCheckResponse]:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its stubs know no Watch
    call: grpc.aio.UnaryStreamCall[Any, health_pb2.HealthCheckResponse] = stub.Watch(
        health_pb2.HealthCheckRequest(), wait_for_ready=True
    )
    return call


async def until_health(told: grpc.aio.UnaryStreamCall[Any, health_pb2.HealthCheckResponse], status: int) -> None:
    while True:
        health = await told.read()
        assert isinstance(health, health_pb2.HealthCheckResponse), "it told no more"
        if health.status == status:
            return


async def test_ready_when_caught_up_and_the_same_after_kill_and_after_term(world: World) -> None:
    index = await world.register()
    await world.put(400)
    await world.send([world.delete(one, 2) for one in range(1, 50)])
    await world.log.close()
    await world.catalog.close()
    asked = query(index, normalise(np.ones(DIM)), k=1_000, exact=True)
    answers = []
    for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        async with asyncio.timeout(60), process(world.folder, free_port("127.0.0.1")) as (started, remote):
            answer = await remote.search(asked, Deadline.after(10))
            answers.append((answer.hits.ids.tolist(), answer.hits.scores.tolist()))
            started.send_signal(end)
            assert await started.wait() == (0 if end is signal.SIGTERM else -signal.SIGKILL)
    assert sorted(answers[0][0]) == sorted(world.live())
    assert answers[1:] == answers[:1] * 2


async def test_told_to_stop_it_leaves_readiness_ends_its_calls_and_leaves_a_checkpoint(world: World) -> None:
    index = await world.register()
    await world.put(300)
    await world.log.close()
    await world.catalog.close()
    never = (Receipt(ImageId(1), Version(99)),)
    waiting = query(index, normalise(np.ones(DIM)), k=10, receipts=never)
    port = free_port("127.0.0.1")
    async with (
        asyncio.timeout(60),
        process(world.folder, port, OMMA_SHARD__CHECKPOINT_SECONDS="3600") as (started, remote),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        told = watch(channel)
        await until_health(told, health_pb2.HealthCheckResponse.SERVING)
        running = asyncio.create_task(remote.search(waiting, Deadline.after(4)))
        assert (await remote.stats(Deadline.after(5))).ready
        started.send_signal(signal.SIGTERM)
        await until_health(told, health_pb2.HealthCheckResponse.NOT_SERVING)
        told.cancel()  # it is a call as well, and would be waited for
        assert (await running).degraded == {Degraded.RECEIPT_PENDING}
        assert await started.wait() == 0
    (manifest,) = (world.folder / "shards").rglob("manifest.json")
    assert sum(Stamp.from_json(Checkpoint.from_json(manifest.read_bytes()).stamp).next_offsets.values()) == 300


def test_a_replica_is_told_or_a_pod_of_a_stateful_set_or_the_first() -> None:
    assert replica_of(ServedShardSettings(replica=3), "omma-shard-2-1") == 3
    assert replica_of(ServedShardSettings(), "omma-shard-2-1") == 1
    assert replica_of(ServedShardSettings(), "laptop") == 0

"""kill -9 of a cluster's processes in the midst of a rollout."""

import asyncio
import random

import httpx

from deploy.local import Cluster
from deploy.parts import Server
from loadtests.bench.rolling import ok, until


async def killed(running: Cluster, gateways: list[httpx.AsyncClient], indexes: list[str]) -> int:
    """kill -9 of one of each kind, a moment apart in any order; whole again when it returns. How many were killed."""
    candidate = running.indexes["next"]
    parts: list[Server] = [running.postgres.server, running.kafka.server]
    services = [running.gateways[1], running.indexer, candidate.shards[1][0], candidate.egs, running.egs]
    servers = [*parts, *(one.server for one in services)]
    random.Random(len(gateways)).shuffle(servers)
    for server in servers:
        await asyncio.to_thread(server.kill)
        if server in parts:
            await asyncio.to_thread(server.restart)

    async def whole() -> bool:
        if not await asyncio.to_thread(lambda: all(one.server.running() and one.ready() for one in services)):
            return False
        for gateway in gateways:
            await ok(gateway.get("/rollouts"))
            for index in indexes:
                body = {"image_id": 1, "k": 1, "index": index, "timeout_ms": 20_000}
                if (await ok(gateway.post("/search", json=body)))["degraded"]:
                    return False
        return True

    await until(whole, 0.5)
    return len(servers)

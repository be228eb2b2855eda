"""The re-ranker as a process of its own: it says where it serves, answers, and ends cleanly on SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from omma.hits import no_hits
from omma.rpc.deadline import Deadline
from services.rerank.client import RemoteReranker, RerankQuery
from tests.integration.rerank_process import ENVIRONMENT, port_of


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.rerank", cwd=tmp_path, env=ENVIRONMENT, stderr=asyncio.subprocess.PIPE
    )
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_it_serves_until_sigterm(process: asyncio.subprocess.Process) -> None:
    target = f"127.0.0.1:{await asyncio.wait_for(port_of(process), 60)}"
    async with grpc.aio.insecure_channel(target) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

    reranker = RemoteReranker.at(target)
    reranked = await reranker.rerank(RerankQuery(k=np.iinfo(np.int32).max), no_hits(dim=4), Deadline.after(10))
    assert (reranked.policy, reranked.ranked) == ("shop@2", ())
    await reranker.close()

    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0

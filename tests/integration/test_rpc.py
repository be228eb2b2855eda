"""The gRPC plumbing against a real server on a real port."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY

from omma.errors import ERROR_OF_KIND, Bug, Kind, OmmaError, OutOfTime, ReplicaDown, TooLarge, WrongSpace
from omma.rpc.channel import call, open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.handlers import deadline_of
from omma.rpc.server import LIVENESS, RpcServer
from omma.telemetry.context import bind_request_id, request_id
from omma.v1 import shard_pb2, shard_pb2_grpc

Answer = Callable[[Any, Any], Awaitable[Any]]
STATS = shard_pb2.ShardServiceStatsRequest()


class Servicer(shard_pb2_grpc.ShardServiceServicer):
    """Answers Stats as each test says."""

    def __init__(self) -> None:
        self.answer: Answer = self.ok
        self.calls = 0

    async def ok(self, request: Any, context: Any) -> shard_pb2.ShardServiceStatsResponse:
        return shard_pb2.ShardServiceStatsResponse(index=request_id())

    async def Stats(self, request: Any, context: Any) -> Any:
        self.calls += 1
        return await self.answer(request, context)


class Served:
    def __init__(self, servicer: Servicer, server: RpcServer, port: int, channel: grpc.aio.Channel) -> None:
        self.servicer = servicer
        self.server = server
        self.target = f"127.0.0.1:{port}"
        self.channel = channel
        self.stats = shard_pb2_grpc.ShardServiceStub(channel).Stats

    async def answers(self, answer: Answer, seconds: float = 5) -> Any:
        self.servicer.answer = answer
        return await call(self.stats, STATS, Deadline.after(seconds), "The server")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    servicer = Servicer()
    server = RpcServer(
        [partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, servicer)], max_message_bytes=100_000
    )
    port = await server.start("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}")
    yield Served(servicer, server, port, channel)
    await channel.close()
    await server.stop(0)


async def test_the_request_id_travels(served: Served) -> None:
    with bind_request_id("from-the-caller"):
        assert (await call(served.stats, STATS, Deadline.after(5), "The server")).index == "from-the-caller"
    made = (await call(served.stats, STATS, Deadline.after(5), "The server")).index
    assert len(made) == 32


@pytest.mark.parametrize("kind", Kind)
async def test_every_error_comes_back_as_its_class(served: Served, kind: Kind) -> None:
    async def fail(request: Any, context: Any) -> None:
        raise ERROR_OF_KIND[kind](
            "naïve “quotes”\n2nd line", field="attributes.größe", limit=2.5, retry_after_seconds=1.5
        )

    with pytest.raises(OmmaError) as raised:
        await served.answers(fail)
    error = raised.value
    assert type(error) is ERROR_OF_KIND[kind]
    assert error.detail == "naïve “quotes”\n2nd line"
    assert (error.field, error.limit, error.retry_after_seconds) == ("attributes.größe", 2.5, 1.5)


async def test_an_exception_without_a_kind_says_nothing_of_itself(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Any, context: Any) -> None:
        raise RuntimeError("password=hunter2")

    with caplog.at_level(logging.ERROR), pytest.raises(Bug) as raised:
        await served.answers(fail)
    assert "hunter2" not in raised.value.detail
    assert "hunter2" in caplog.text
    assert "Traceback" in caplog.text


async def test_the_deadline_travels_and_what_is_over_it_is_out_of_time(served: Served) -> None:
    seen: list[float] = []
    cancelled = asyncio.Event()

    async def wait(request: Any, context: Any) -> None:
        seen.append(deadline_of(context).remaining_seconds())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(OutOfTime):
        await served.answers(wait, seconds=0.2)
    assert 0 < seen[0] < 0.3  # gRPC rounds a timeout up
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_caller_without_a_deadline_gets_one(served: Served) -> None:
    async def answer(request: Any, context: Any) -> shard_pb2.ShardServiceStatsResponse:
        return shard_pb2.ShardServiceStatsResponse(live=round(deadline_of(context, 7).remaining_seconds()))

    served.servicer.answer = answer
    assert (await served.stats(STATS)).live == 7


async def test_an_expired_deadline_is_refused_before_the_call(served: Served) -> None:
    with pytest.raises(OutOfTime):
        await call(served.stats, STATS, Deadline.after(0), "The server")
    assert served.servicer.calls == 0


async def test_cancelling_a_call_cancels_its_handler_and_is_no_error(served: Served) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: Any, context: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.create_task(served.answers(wait, seconds=30))
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_dropped_call_is_read_to_its_end(served: Served) -> None:
    """grpc.aio frees what was received at the end of the task that reads it, and not when that task is cancelled."""
    started = asyncio.Event()
    calls: list[Any] = []

    async def wait(request: Any, context: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    def stats(request: Any, **arguments: Any) -> Any:
        calls.append(served.stats(request, **arguments))
        return calls[0]

    served.servicer.answer = wait
    task = asyncio.create_task(call(stats, STATS, Deadline.after(30), "The server"))
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    reading = calls[0]._invocation_task
    await asyncio.wait_for(reading, 5)
    assert reading.cancelling() == 0


async def test_nobody_listening_is_a_replica_that_is_down() -> None:
    channel = open_channel("127.0.0.1:1")
    with pytest.raises(ReplicaDown):
        await call(shard_pb2_grpc.ShardServiceStub(channel).Stats, STATS, Deadline.after(5), "The server")
    await channel.close()


async def test_a_failed_call_is_not_tried_again(served: Served) -> None:
    async def fail(request: Any, context: Any) -> None:
        raise ReplicaDown("not loaded")

    with pytest.raises(ReplicaDown):
        await served.answers(fail)
    assert served.servicer.calls == 1


async def test_a_message_over_the_limit_is_too_large(served: Served) -> None:
    method = shard_pb2_grpc.ShardServiceStub(served.channel).Search
    request = shard_pb2.ShardServiceSearchRequest(filter="x" * 200_000)
    with pytest.raises(TooLarge):
        await call(method, request, Deadline.after(5), "The server")


async def test_a_method_that_no_one_wrote_is_a_bug(served: Served) -> None:
    with pytest.raises(Bug):
        await call(
            shard_pb2_grpc.ShardServiceStub(served.channel).Fetch,
            shard_pb2.ShardServiceFetchRequest(),
            Deadline.after(5),
            "The server",
        )


async def test_health_follows_readiness(served: Served) -> None:
    health = health_pb2_grpc.HealthStub(served.channel)
    request = health_pb2.HealthCheckRequest(service="omma.v1.ShardService")
    assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    alive = await health.Check(health_pb2.HealthCheckRequest(service=LIVENESS))
    assert alive.status == health_pb2.HealthCheckResponse.SERVING
    await served.server.set_ready(True)
    assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_server_without_its_servicers_yet_is_alive_and_unavailable() -> None:
    server = RpcServer(None)
    port = await server.start("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}")
    stats, health = shard_pb2_grpc.ShardServiceStub(channel).Stats, health_pb2_grpc.HealthStub(channel)

    async def status(service: str) -> int:
        return (await health.Check(health_pb2.HealthCheckRequest(service=service))).status

    assert await status(LIVENESS) == health_pb2.HealthCheckResponse.SERVING
    assert await status("") == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(ReplicaDown, match="starting"):
        await call(stats, STATS, Deadline.after(5), "The server")

    await server.register([partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, Servicer())])
    await call(stats, STATS, Deadline.after(5), "The server")
    assert await status("omma.v1.ShardService") == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.set_ready(True)
    assert await status("omma.v1.ShardService") == health_pb2.HealthCheckResponse.SERVING
    search = channel.unary_unary("/omma.v1.SearchService/Search")
    with pytest.raises(Bug):
        await call(search, b"", Deadline.after(5), "The server")
    await channel.close()
    await server.stop(0)


async def test_of_several_servers_those_that_are_ready_are_called() -> None:
    called: list[str] = []

    class Named(shard_pb2_grpc.ShardServiceServicer):
        def __init__(self, name: str) -> None:
            self.name = name

        async def Stats(self, request: Any, context: Any) -> shard_pb2.ShardServiceStatsResponse:
            called.append(self.name)
            return shard_pb2.ShardServiceStatsResponse()

    servers = [
        RpcServer([partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, Named(name))]) for name in ("a", "b")
    ]
    ports = [await server.start("127.0.0.1:0") for server in servers]
    await servers[0].set_ready(True)
    channel = open_channel(f"ipv4:{','.join(f'127.0.0.1:{port}' for port in ports)}", health_checked=True)
    stats = shard_pb2_grpc.ShardServiceStub(channel).Stats
    for _ in range(20):
        await call(stats, STATS, Deadline.after(20), "The server")
    assert set(called) == {"a"}

    await servers[1].set_ready(True)
    async with asyncio.timeout(20):
        while "b" not in called:
            await call(stats, STATS, Deadline.after(20), "The server")
    await asyncio.wait_for(servers[0].stop(60), 20)  # nobody's watch of its health keeps it
    called.clear()
    for _ in range(20):
        await call(stats, STATS, Deadline.after(20), "The server")
    assert set(called) == {"b"}
    await channel.close()
    await servers[1].stop(0)


async def test_reflection_lists_the_services(served: Served) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    stream = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    names = {service.name async for answer in stream for service in answer.list_services_response.service}
    assert {"omma.v1.ShardService", "grpc.health.v1.Health"} <= names


async def test_a_running_call_ends_while_the_server_drains(served: Served) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(request: Any, context: Any) -> shard_pb2.ShardServiceStatsResponse:
        started.set()
        await release.wait()
        return shard_pb2.ShardServiceStatsResponse(live=1)

    running = asyncio.create_task(served.answers(slow))
    await asyncio.wait_for(started.wait(), 5)
    stopping = asyncio.create_task(served.server.stop(30))
    other = open_channel(served.target)
    with pytest.raises(ReplicaDown):
        await call(shard_pb2_grpc.ShardServiceStub(other).Stats, STATS, Deadline.after(5), "The server")
    await other.close()
    release.set()
    assert (await running).live == 1
    await asyncio.wait_for(stopping, 5)


async def test_a_call_that_outlives_the_drain_is_cut_off(served: Served) -> None:
    started = asyncio.Event()

    async def stuck(request: Any, context: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(served.answers(stuck))
    await asyncio.wait_for(started.wait(), 5)
    await served.server.stop(0)
    with pytest.raises(ReplicaDown):
        await running


async def test_a_taken_port_is_an_error_and_not_shared(served: Served) -> None:
    second = RpcServer([])
    with pytest.raises(OSError, match="cannot listen"):
        await second.start(served.target)
    await second.stop(0)


async def test_calls_are_counted_by_method_and_code(served: Served) -> None:
    def count(code: str) -> float:
        labels = {"method": "omma.v1.ShardService/Stats", "code": code}
        return REGISTRY.get_sample_value("omma_rpc_seconds_count", labels) or 0

    async def fail(request: Any, context: Any) -> None:
        raise WrongSpace("other")

    before = count("OK"), count("FAILED_PRECONDITION")
    await served.answers(served.servicer.ok)
    with contextlib.suppress(WrongSpace):
        await served.answers(fail)
    assert (count("OK"), count("FAILED_PRECONDITION")) == (before[0] + 1, before[1] + 1)

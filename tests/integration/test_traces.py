"""Spans of a process reach a collector over OTLP; without an endpoint nothing of the exporter is loaded."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from deploy.local.service import Service
from deploy.parts.ports import free_port
from omma.hits import no_hits
from omma.v1 import rerank_pb2_grpc
from services.rerank.client import RerankQuery
from services.rerank.client.convert import rerank_request

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def Export(self, request: Any, context: Any) -> trace_service_pb2.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            (service,) = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put_nowait((service, span))
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    """With its address."""
    server, collector = grpc.aio.server(), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield collector, f"http://127.0.0.1:{port}"
    await server.stop(0)


async def test_a_process_sends_its_spans_below_the_callers(collector: tuple[Collector, str]) -> None:
    sent, endpoint = collector
    service = Service("rerank", "services.rerank", free_port("127.0.0.1"))
    try:
        await asyncio.to_thread(service.start, {"OMMA_TRACES__ENDPOINT": endpoint})
        async with grpc.aio.insecure_channel(service.address) as channel:
            asked = rerank_request(RerankQuery(k=1), no_hits(dim=4))
            traced = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)
            await rerank_pb2_grpc.RerankServiceStub(channel).Rerank(asked, timeout=10, metadata=traced)
        async with asyncio.timeout(30):
            name, span = await sent.spans.get()
        assert (name, span.name) == ("omma-rerank", "omma.v1.RerankService/Rerank")
        assert span.trace_id.hex() == TRACE
    finally:
        await asyncio.to_thread(service.server.close)


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"])
def test_nothing_is_loaded_unless_spans_are_wanted_and_a_collector_that_is_away_holds_nothing_up(endpoint: str) -> None:
    """The process ends by itself within the test's time, with or without a collector."""
    begun = (
        "import sys; from omma.process import ProcessSettings, begin; from omma.telemetry.traces import span\n"
        "begin(ProcessSettings(metrics_port=0))\n"
        "with span('one'): pass\n"
        "print(any(name.startswith(('opentelemetry.exporter', 'opentelemetry.sdk')) for name in sys.modules))"
    )
    environment = {**os.environ, "OMMA_TRACES__ENDPOINT": endpoint}
    told = subprocess.check_output([sys.executable, "-c", begun], env=environment, text=True, timeout=40)
    assert told.strip() == str(bool(endpoint))

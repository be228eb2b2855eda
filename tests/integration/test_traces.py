"""Spans of a process reach a collector over OTLP; without an endpoint nothing of the exporter is loaded."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from deploy import parts
from deploy.local import Shape, cluster
from deploy.local.service import Service
from deploy.parts.ports import free_port
from omma.hits import no_hits
from omma.v1 import rerank_pb2_grpc
from services.rerank.client import RerankQuery
from services.rerank.client.convert import rerank_request
from tests.conftest import ROOT
from tests.part_fixtures import skip_without

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
THROUGH = {
    ("omma-gateway", "http"),
    ("omma-gateway", "search"),
    ("omma-gateway", "merge"),
    ("omma-egs", "embed"),
    ("omma-egs", "triton"),
    ("omma-shard", "omma.v1.ShardService/Search"),
    ("omma-rerank", "omma.v1.RerankService/Rerank"),
    ("omma-worker", "record"),
}
"""(process, what it did) of a search by picture."""


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
            traced = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)
            await rerank_pb2_grpc.RerankServiceStub(channel).Rerank(asked, timeout=10, metadata=traced)
        async with asyncio.timeout(30):
            name, span = await sent.spans.get()
        assert (name, span.name) == ("omma-rerank", "omma.v1.RerankService/Rerank")
        assert span.trace_id.hex() == TRACE
    finally:
        await asyncio.to_thread(service.server.close)


@pytest.mark.timeout(600)
async def test_one_trace_leads_through_every_process(collector: tuple[Collector, str], photographs: Path) -> None:
    """A search by picture, over REST: what each process did of it, to what the worker wrote down of its answer."""
    sent, endpoint = collector
    picture, other = sorted((photographs / "caltech-101").rglob("*.jpg"))[:2]
    settings = {"OMMA_TRACES__ENDPOINT": endpoint}
    shape = Shape(1, 1, models_dir=str(ROOT / "models"), reranker=True, environment=settings)
    with ExitStack() as stack:
        try:
            running = await asyncio.to_thread(stack.enter_context, cluster(shape))
        except parts.PartMissing as missing:
            skip_without(missing)
        async with httpx.AsyncClient(base_url=running.rest, timeout=60) as client:
            stored = await client.post("/images", files={"image": picture.read_bytes()})
            assert stored.is_success, stored.text
            header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
            async with asyncio.timeout(120):
                while True:  # each is a trace of its own until the picture is there
                    asked = {"image": picture.read_bytes()}
                    answer = await client.post("/search", files=asked, data={"k": "1", "timeout_ms": "30000"})
                    if answer.json().get("results"):
                        break
            # Of another picture: what was embedded before is not embedded again.
            answer = await client.post(
                "/search", files={"image": other.read_bytes()}, data={"timeout_ms": "30000"}, headers=header
            )
            assert answer.json()["results"], answer.text
        spans: dict[bytes, Any] = {}
        found: set[tuple[str, str]] = set()
        roots: set[bytes] = set()
        async with asyncio.timeout(120):
            while not (found >= THROUGH and roots == {bytes.fromhex(CALLER)}):  # one tree, below the caller's span
                service, span = await sent.spans.get()
                if span.trace_id.hex() == TRACE:
                    spans[span.span_id] = span
                    found.add((service, span.name))
                    roots = {one.parent_span_id for one in spans.values()} - spans.keys()
        await asyncio.to_thread(stack.close)


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

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
from omma.v1 import rerank_pb2_grpc, search_pb2, search_pb2_grpc
from services.rerank.client import RerankQuery
from services.rerank.client.convert import rerank_request
from tests.conftest import ROOT
from tests.part_fixtures import skip_without

TRACES = {"rest": "0af7651916cd43dd8448eb211c80319c", "grpc": "4bf92f3577b34da6a3ce929d0e0e4736"}
"""By the face that is asked."""
CALLER = "b7ad6b7169203331"
FACES = {"rest": "http", "grpc": "omma.v1.SearchService/Search"}
"""What the gateway calls a request at each."""
BELOW = {
    ("omma-gateway", "search"),
    ("omma-gateway", "merge"),
    ("omma-egs", "embed"),
    ("omma-egs", "triton"),
    ("omma-shard", "omma.v1.ShardService/Search"),
    ("omma-rerank", "omma.v1.RerankService/Rerank"),
    ("omma-worker", "record"),
}
"""(process, what it did) of a search by picture, whichever face was asked."""


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
            traced = (("traceparent", f"00-{TRACES['grpc']}-{CALLER}-01"),)
            await rerank_pb2_grpc.RerankServiceStub(channel).Rerank(asked, timeout=10, metadata=traced)
        async with asyncio.timeout(30):
            name, span = await sent.spans.get()
        assert (name, span.name) == ("omma-rerank", "omma.v1.RerankService/Rerank")
        assert span.trace_id.hex() == TRACES["grpc"]
    finally:
        await asyncio.to_thread(service.server.close)


@pytest.mark.timeout(600)
async def test_one_trace_leads_through_every_process(collector: tuple[Collector, str], photographs: Path) -> None:
    """A search by picture at either face: what each process did of it, to what the worker wrote down of its answer."""
    sent, endpoint = collector
    picture, second, third = sorted((photographs / "caltech-101").rglob("*.jpg"))[:3]
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
            parents = {face: {"traceparent": f"00-{trace}-{CALLER}-01"} for face, trace in TRACES.items()}
            async with asyncio.timeout(120):
                while True:  # each is a trace of its own until the picture is there
                    asked = {"image": picture.read_bytes()}
                    answer = await client.post("/search", files=asked, data={"k": "1", "timeout_ms": "30000"})
                    if answer.json().get("results"):
                        break
            # Of other pictures: what was embedded before is not embedded again.
            asked, said = {"image": second.read_bytes()}, {"timeout_ms": "30000"}
            answer = await client.post("/search", files=asked, data=said, headers=parents["rest"])
            assert answer.json()["results"], answer.text
        async with grpc.aio.insecure_channel(running.grpc) as channel:
            query = search_pb2.SearchQuery(image=third.read_bytes())
            request = search_pb2.SearchRequest(queries=[query], k=10, timeout_ms=30_000)
            search = search_pb2_grpc.SearchServiceStub(channel).Search
            assert (await search(request, timeout=60, metadata=tuple(parents["grpc"].items()))).results
        spans: dict[str, dict[bytes, Any]] = {trace: {} for trace in TRACES.values()}
        found: dict[str, set[tuple[str, str]]] = {trace: set() for trace in TRACES.values()}
        async with asyncio.timeout(120):
            while not all(
                found[trace] >= BELOW | {("omma-gateway", FACES[face])} and roots(spans[trace]) == {CALLER}
                for face, trace in TRACES.items()
            ):
                service, span = await sent.spans.get()
                if (trace := span.trace_id.hex()) in found:
                    spans[trace][span.span_id] = span
                    found[trace].add((service, span.name))
        await asyncio.to_thread(stack.close)


def roots(spans: dict[bytes, Any]) -> set[str]:
    """Whom its trees hang below: one, once every span is there."""
    return {one.hex() for one in {span.parent_span_id for span in spans.values()} - spans.keys()}


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

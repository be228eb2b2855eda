"""The request id travels, logs are JSON, metrics are one closed list, spans cost nothing unless somebody looks."""

import ast
import asyncio
import contextvars
import json
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import prometheus_client
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from omma.telemetry import metrics, traces
from omma.telemetry.context import accepted_request_id, bind_request_id, new_request_id, request_id, run_in
from omma.telemetry.logs import JsonFormatter, TextFormatter, configure_logging
from omma.telemetry.traces import configure_traces, continued, span, stage_times, trace_id, traceparent

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Traces configured for this test only."""
    monkeypatch.setattr(traces, "_tracer", None)
    exporter = InMemorySpanExporter()
    provider = configure_traces("test", exporter)
    yield exporter
    provider.shutdown()


# Context


async def test_an_id_reaches_tasks_and_executors() -> None:
    with ThreadPoolExecutor(1) as executor, bind_request_id("abc"):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run_in(executor, request_id))
        assert task.result() == "abc"
        assert await asyncio.get_running_loop().run_in_executor(executor, request_id) == ""
    assert request_id() == ""


def test_binding_without_a_block_lasts() -> None:
    def bound() -> str:
        bind_request_id("lasting")
        with bind_request_id("inner"):
            pass
        return request_id()

    assert contextvars.copy_context().run(bound) == "lasting"


@pytest.mark.parametrize("given", [None, "", "a b", "a\nb", "x" * 129, "é", '"'])
def test_an_id_that_could_forge_a_log_line_is_replaced(given: str | None) -> None:
    assert re.fullmatch("[0-9a-f]{32}", accepted_request_id(given))


def test_a_callers_own_id_is_kept() -> None:
    assert accepted_request_id("job-7:part.3") == "job-7:part.3"
    assert new_request_id() != new_request_id()


# Logs


def record(**extra: object) -> logging.LogRecord:
    return logging.getLogger("omma.test").makeRecord(
        "omma.test", logging.WARNING, __file__, 1, "half of %s", ("it",), None, extra=extra
    )


def test_a_line_is_one_json_object_with_the_request_id_and_the_extras() -> None:
    with bind_request_id("r-1"):
        line = JsonFormatter().format(record(shard=3, path=Path("/x"), text="one\ntwo"))
    assert "\n" not in line
    said = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("time"))
    assert said == {
        "level": "warning",
        "logger": "omma.test",
        "message": "half of it",
        "request_id": "r-1",
        "shard": 3,
        "path": "/x",
        "text": "one\ntwo",
    }


def test_an_exception_is_logged_with_its_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        one = record()
        one.exc_info = (type(error), error, error.__traceback__)
    assert "ValueError: broken" in json.loads(JsonFormatter().format(one))["exception"]
    assert TextFormatter().format(one).endswith("ValueError: broken")


def test_text_is_for_people() -> None:
    with bind_request_id("r-1"):
        assert TextFormatter().format(record(shard=3)).endswith("omma.test half of it shard=3 request_id=r-1")


def test_logs_go_to_stderr_at_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging("warning")
        logging.getLogger("omma.test").info("unheard")
        logging.getLogger("omma.test").warning("heard")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(line)["message"] for line in captured.err.splitlines()] == ["heard"]


def test_a_line_carries_the_trace(exporter: InMemorySpanExporter) -> None:
    with span("search"):
        assert json.loads(JsonFormatter().format(record()))["trace_id"] == trace_id()
    assert "trace_id" not in json.loads(JsonFormatter().format(record()))


# Metrics

EVERY_METRIC = {
    name: one for name, one in vars(metrics).items() if isinstance(one, prometheus_client.metrics.MetricWrapperBase)
}


def sources() -> Iterator[Path]:
    for folder in ("omma", "services"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if "v1" not in path.parts)


def test_no_metric_is_made_elsewhere() -> None:
    makers = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
    for path in sources():
        if path == ROOT / "omma/telemetry/metrics.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client"):
                assert not makers & {alias.name for alias in node.names}, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert not (node.value.id == "prometheus_client" and node.attr in makers), path


@pytest.mark.parametrize("name", EVERY_METRIC)
def test_a_metric_says_what_it_is_and_in_which_unit(name: str) -> None:
    metric = EVERY_METRIC[name]
    assert metric._name.startswith("omma_")
    assert metric._documentation.endswith(".")
    if isinstance(metric, prometheus_client.Histogram):
        assert metric._name.endswith(("_seconds", "_items", "_queries", "_ratio", "_bytes"))


def test_every_metric_is_used() -> None:
    text = "\n".join(path.read_text() for path in sources() if path.name != "metrics.py")
    assert [name for name in EVERY_METRIC if not re.search(rf"\b{name}\b", text)] == []


# Traces


async def test_stage_times_gather_this_task_its_children_and_its_executors() -> None:
    def blocking() -> None:
        with span("decode"):
            time.sleep(0.002)

    async def child() -> None:
        with span("shard", shard=1):
            await asyncio.sleep(0.002)

    with ThreadPoolExecutor(1) as executor, stage_times() as times:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())
        await run_in(executor, blocking)
    assert set(times) == {"decode", "shard"}
    assert times["decode"] >= 2000
    assert times["shard"] >= 4000


async def test_two_requests_at_once_have_their_own_times() -> None:
    async def request(name: str) -> set[str]:
        with stage_times() as times:
            with span(name):
                await asyncio.sleep(0)
            return set(times)

    assert await asyncio.gather(request("a"), request("b")) == [{"a"}, {"b"}]


def test_a_span_that_raises_is_timed_and_lets_the_error_through() -> None:
    with stage_times() as times, pytest.raises(KeyError), span("merge"):
        raise KeyError
    assert "merge" in times


def test_nobody_looking_means_no_span() -> None:
    with span("merge"):
        assert trace_id() == ""
        assert traceparent() == ""


def test_spans_are_exported_nested_with_their_attributes(exporter: InMemorySpanExporter) -> None:
    with span("search", k=10), stage_times() as times, span("merge"):
        pass
    traces._tracer.span_processor.force_flush()  # type: ignore[union-attr]  # the SDK's, behind the API's type
    merge, search = exporter.get_finished_spans()
    assert (search.name, dict(search.attributes or {})) == ("search", {"k": 10})
    assert merge.parent is not None
    assert merge.parent.span_id == search.context.span_id
    assert set(times) == {"merge"}


def test_a_trace_goes_on_in_another_process(exporter: InMemorySpanExporter) -> None:
    with span("gateway"):
        header, here = traceparent(), trace_id()
    with continued(header), span("shard"):
        assert trace_id() == here
    with continued("no header"), span("shard"):
        assert trace_id() != here

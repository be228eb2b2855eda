"""A span around each stage: to OpenTelemetry when traces are configured, to `explain` when stage times are asked for.

With neither, a span costs 0.4 us, so stages are wrapped without a thought.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from omma.errors import WrongState

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Attribute: TypeAlias = str | bool | int | float

_EXPORT_SECONDS: Final = 3
"""For a batch to be taken; a process that ends waits so long for a collector that is away."""
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_lock: Final = threading.Lock()
_times: ContextVar[dict[str, int] | None] = ContextVar("omma_stage_times", default=None)
_tracer: trace.Tracer | None = None


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Any]:
    """A stage of the current request, named by the field's word for it (`embed`, `merge`).

    An exception that leaves it is recorded on the span. In a coroutine it may span awaits, in one task.
    """
    of_tracer = _NOTHING if _tracer is None else _tracer.start_as_current_span(name, attributes=attributes)
    times = _times.get()
    return of_tracer if times is None else _Timed(name, of_tracer, times)


@contextmanager
def stage_times() -> Iterator[Mapping[str, int]]:
    """Collect microseconds by span name from this task, the tasks it starts and what it runs with context.run_in.

    Spans of one name add up: four shards asked at once for 10 ms count 40,000. Read it after the block or inside it.
    """
    times: dict[str, int] = {}
    token = _times.set(times)
    try:
        yield times
    finally:
        _times.reset(token)


def otlp_exporter(endpoint: str) -> "SpanExporter":
    """Sends spans to a collector over gRPC. endpoint: `http://host:port`; `https://…` for TLS. Connects when it sends.

    Raises WrongState without the extra `cluster`.
    """
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        told = "Traces need OpenTelemetry's exporter: pip install 'omma[cluster]'."
        raise WrongState(told, field="OMMA_TRACES__ENDPOINT") from error
    return OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_EXPORT_SECONDS)


def configure_traces(service: str, exporter: "SpanExporter", share: float = 1.0) -> "TracerProvider":
    """Send the spans of this process to an exporter, in batches from a thread of its own.

    share: of the traces that begin here; one that comes from a caller is kept when the caller keeps it.
    Call it once, in main. What is left is sent when the process ends, or by `shutdown()` of the result.
    """
    global _tracer  # noqa: PLW0603  a process has one tracer, as it has one root logger
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    provider = TracerProvider(ParentBasedTraceIdRatio(share), Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("omma")
    return provider


def trace_id() -> str:
    """32 hex characters of the current trace, empty when there is none."""
    if _tracer is None:
        return ""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def traceparent() -> str:
    """The W3C header that carries the current span to another process; empty when there is none."""
    if _tracer is None:
        return ""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def continued(traceparent: str) -> Iterator[None]:
    """Let the spans of this block belong to another process's span. Anything but a W3C header is passed over."""
    if _tracer is None or not traceparent:
        yield
        return
    token = attach(_PROPAGATOR.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        detach(token)


class _Nothing:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING: Final = _Nothing()


class _Timed:
    """A span whose time is added to those of its name. A class, since a generator costs a search's twenty 15 us."""

    __slots__ = ("_name", "_span", "_started_ns", "_times")

    def __init__(self, name: str, of_tracer: AbstractContextManager[Any], times: dict[str, int]) -> None:
        self._name = name
        self._span = of_tracer
        self._times = times
        self._started_ns = 0

    def __enter__(self) -> None:
        self._started_ns = time.perf_counter_ns()
        self._span.__enter__()

    def __exit__(self, *raised: Any) -> bool | None:
        try:
            return self._span.__exit__(*raised)
        finally:
            took_us = (time.perf_counter_ns() - self._started_ns) // 1000
            with _lock:
                self._times[self._name] = self._times.get(self._name, 0) + took_us

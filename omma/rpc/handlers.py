"""What every RPC gets, wrapped around the handlers once, when a service is registered.

About 10 us a call beside the 300 that grpc.aio itself takes; an interceptor would make a new handler for each call.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import grpc
from grpc.aio import AbortError

from omma.errors import STATUS, OmmaError, OutOfTime, ReplicaDown, causes
from omma.rpc.deadline import Deadline
from omma.rpc.errors import generic_bug, status_of
from omma.telemetry.context import accepted_request_id, bind_request_id
from omma.telemetry.metrics import RPC_SECONDS
from omma.telemetry.traces import continued, span

REQUEST_ID: Final = "x-request-id"
TRACEPARENT: Final = "traceparent"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
"""Of one message, or of the stream in which a call's one message comes when the handler asks for it."""

logger = logging.getLogger(__name__)


def deadline_of(context: Context, at_most_seconds: float = 60.0) -> Deadline:
    """The caller's deadline for a servicer to spend; a caller that gave none gets at_most_seconds."""
    return Deadline.after(min(_remaining(context, at_most_seconds), at_most_seconds))


def as_told(method: str, error: Exception) -> OmmaError:
    """What a caller is told of an error; the log gets the traceback of one without a kind, and what a fault of ours
    came from.
    """
    if not isinstance(error, OmmaError):
        logger.error("%s failed", method, exc_info=error)
        return generic_bug()
    if STATUS[error.kind].http >= 500 and error.__cause__ is not None:
        logger.warning("%s: a caller is told %s", method, error.kind.value, extra={"reason": causes(error)})
    return error


def wrapped(method: str, handler: Handler) -> Handler:
    """A unary handler that binds the caller's request id and has a span below the caller's, refuses a call that arrives
    expired, counts and times, and tells an error by the table: see `as_told`.
    """
    seconds: dict[str, Any] = {}

    def observe(code: str, started: float) -> None:
        child = seconds.get(code)
        if child is None:
            child = seconds[code] = RPC_SECONDS.labels(method, code)
        child.observe(time.perf_counter() - started)

    async def call(request: Any, context: Context) -> Any:
        started = time.perf_counter()
        said = _text_metadata(context)
        bind_request_id(accepted_request_id(said.get(REQUEST_ID)))  # a call has a task, so a context, of its own
        try:
            if _remaining(context, 1.0) <= 0:
                raise OutOfTime("The call arrived after its deadline.")
            with continued(said.get(TRACEPARENT, "")), span(method):
                answer = await handler(request, context)
        except asyncio.CancelledError:
            observe("CANCELLED", started)
            raise
        except AbortError:
            observe("ABORTED", started)
            raise
        except Exception as error:  # noqa: BLE001  the boundary: whatever comes out of a servicer becomes a status
            code, detail, metadata = status_of(as_told(method, error))
            observe(code.name, started)
            await context.abort(code, detail, metadata)
        observe("OK", started)
        return answer

    return call


class Methods(grpc.GenericRpcHandler):
    """Methods of a server, which may come while it runs. Stands where generated `add_…Servicer_to_server` functions
    expect a server, and wraps what they register. Until they are `complete` any other one is unavailable, not unknown.
    """

    def __init__(self, *, complete: bool = False, wrap: bool = True) -> None:
        """wrap: False for what is not Omma's own, and may stream."""
        self.service_names: list[str] = []
        self.complete = complete
        self._wrap = wrap
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """gRPC asks this for each call."""
        return self._handlers.get(handler_call_details.method, None if self.complete else _STARTING)

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """The same methods come again, by name, to add_registered_method_handlers."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]
    ) -> None:
        self.service_names.append(service)
        for name, handler in handlers.items():
            method = f"{service}/{name}"
            self._handlers[f"/{method}"] = _wrapped_handler(method, handler) if self._wrap else handler


def _wrapped_handler(method: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> "grpc.RpcMethodHandler[Any, Any]":
    unary = handler.unary_unary or handler.stream_unary
    if unary is None:
        raise TypeError(f"{method} streams its answer; Omma's own calls give one")
    made = grpc.unary_unary_rpc_method_handler if handler.unary_unary else grpc.stream_unary_rpc_method_handler
    return made(
        wrapped(method, cast(Handler, unary)),  # the stubs know only grpc's synchronous context
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


async def _starting(_request: bytes, context: Context) -> None:
    code, detail, metadata = status_of(ReplicaDown("This process is starting; try again.", retry_after_seconds=1.0))
    await context.abort(code, detail, metadata)


_STARTING: Final[Any] = grpc.unary_unary_rpc_method_handler(cast(Any, _starting))


def _remaining(context: Context, unlimited: float) -> float:
    left = context.time_remaining()
    return unlimited if left is None else left


def _text_metadata(context: Context) -> dict[str, str]:
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}

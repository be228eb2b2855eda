"""Channels to Omma's services, and how a call is made over one."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc
from grpc.aio._call import Call

from omma.rpc.deadline import Deadline
from omma.rpc.errors import error_of
from omma.rpc.handlers import REQUEST_ID, TRACEPARENT
from omma.rpc.renewed import RenewedChannel
from omma.rpc.tls import RenewedCredentials
from omma.telemetry.context import request_id
from omma.telemetry.traces import traceparent

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""64 pictures for EGS are the largest message; one picture has at most 40 MB (PictureLimits)."""

KEEPALIVE_SECONDS: Final = 1
"""Between pings while nothing else comes: with the two seconds that an answer may take, a dead host shows in three."""

_KEEPALIVE_TIMEOUT_SECONDS: Final = 2
_CONNECT_SECONDS: Final = 2
"""gRPC's own is 20: a host that is gone answers nothing, and one that came back would wait for that."""

_RECONNECT_SECONDS: Final = 0.25
_MAX_RECONNECT_SECONDS: Final = 1
"""gRPC's own backoff grows to two minutes; an attempt costs next to nothing."""

_RESOLVE_SECONDS: Final = 1
"""Between two looks for a name's addresses, which a lost connection causes. gRPC's own is 30: a pod that was replaced
has another address, and would be asked at the former one for that long.
"""

_SERVICE_CONFIG: Final[dict[str, Any]] = {"loadBalancingConfig": [{"round_robin": {}}]}
"""Behind one name may be several replicas (EGS, re-rankers); it also connects again without being called."""

_HEALTH_CHECKED: Final = {**_SERVICE_CONFIG, "healthCheckConfig": {"serviceName": ""}}

_CANCEL_IN_CORE: Final[Callable[[Any], bool]] = Call.cancel
"""Without the task that reads the answer, which a unary call's own `cancel` cancels, too."""

Request = TypeVar("Request")
Response = TypeVar("Response")


def open_channel(
    target: str,
    *,
    credentials: RenewedCredentials | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    keepalive_seconds: int = KEEPALIVE_SECONDS,
    health_checked: bool = False,
    certified_as: str = "",
) -> grpc.aio.Channel:
    """A channel to `host:port`; close it with `await channel.close()`. Connects on the first call, again when lost.

    credentials: None for plain text; with them the channel is drained and opened anew when their files are renewed.
    keepalive_seconds: a server that is not ours ends connections that ping it more often than it allows.
    health_checked: of several servers behind the name those are called that say they are ready, which each is asked by
    grpc.health.v1's Watch: one that starts or ends is known, and gets no call. certified_as: the host that its
    certificate names; the target's own unless told.
    gRPC's own retries are off: who calls goes to another replica at once, within its own deadline.
    """
    options = [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.enable_retries", 0),
        ("grpc.service_config", json.dumps(_HEALTH_CHECKED if health_checked else _SERVICE_CONFIG)),
        ("grpc.dns_min_time_between_resolutions_ms", _RESOLVE_SECONDS * 1000),
        ("grpc.keepalive_time_ms", keepalive_seconds * 1000),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.min_reconnect_backoff_ms", _CONNECT_SECONDS * 1000),
        ("grpc.initial_reconnect_backoff_ms", int(_RECONNECT_SECONDS * 1000)),
        ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_SECONDS * 1000),
    ]
    if certified_as:
        options.append(("grpc.ssl_target_name_override", certified_as))
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return RenewedChannel(credentials, lambda current: grpc.aio.secure_channel(target, current, options=options))


async def call(
    method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request, deadline: Deadline, peer: str
) -> Response:
    """Call a stub's method with what is left of the deadline, the request id and the span of this context.

    peer: who is asked, in words for callers: "A shard".
    Raises what the server raised, as omma.errors classes; ReplicaDown when it cannot be reached; OutOfTime.
    """
    try:
        return await _answered(method(request, timeout=deadline.require(), metadata=_metadata()))
    except grpc.aio.AioRpcError as error:
        raise error_of(error, peer) from error


async def _answered(under_way: "grpc.aio.UnaryUnaryCall[Request, Response]") -> Response:
    """The call's answer. Cancelled, it ends the call at the server too, and what was received is freed.

    Cancelling the task of grpc.aio that reads it would not: https://github.com/grpc/grpc/issues/43360. So only the call
    in its core is cancelled, and ends as any call does. loadtests.dropped_calls has the figures.
    """
    ended = asyncio.Event()
    under_way.add_done_callback(lambda _: ended.set())
    try:
        await ended.wait()
    except asyncio.CancelledError:
        _CANCEL_IN_CORE(under_way)
        raise
    return await under_way


def _metadata() -> tuple[tuple[str, str], ...]:
    known = ((REQUEST_ID, request_id()), (TRACEPARENT, traceparent()))
    return tuple((name, value) for name, value in known if value)

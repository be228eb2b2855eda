"""A grpc.aio server with health, reflection, limits and a graceful stop."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from omma.rpc.channel import KEEPALIVE_SECONDS, MAX_MESSAGE_BYTES
from omma.rpc.handlers import Methods

Registration: TypeAlias = Callable[[Any], None]
"""Given a server, adds a servicer to it: `partial(add_ShardServiceServicer_to_server, servicer)`."""

LIVENESS: Final = "liveness"
"""A name for grpc.health.v1 that is SERVING while the loop turns, ready or not: what a liveness probe asks."""

_CONNECTION_SECONDS: Final = 600
"""Then it is ended in good order and made anew: a client of several replicas finds those that were added since, and
nobody stays who came with a certificate that is trusted no more.
"""

_CONCURRENT_CALLS: Final = 1_024
"""One more is refused with RESOURCE_EXHAUSTED."""
_PROBES_AT_ONCE: Final = 16

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class RpcServer:
    """Serves the registered servicers, each method wrapped as in omma.rpc.handlers.

    Health answers NOT_SERVING until `set_ready(True)`: readiness is the service's to say. LIVENESS is always SERVING.
    A process that waits for its parts starts it without servicers, which come with `register`: calls are UNAVAILABLE
    until then.
    """

    def __init__(
        self,
        registrations: Sequence[Registration] | None,
        *,
        credentials: grpc.ServerCredentials | None = None,
        probe_address: str = "",
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """registrations: None for those that come later. probe_address: `host:port` where health is told in plain text
        and nothing else is, for probes that speak no TLS; empty: nowhere. Needs a running loop.
        """
        self._credentials = credentials
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_receive_message_length", max_message_bytes),
                # A port taken by another process must fail, not share its calls.
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 500),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.max_connection_age_ms", _CONNECTION_SECONDS * 1000),
            ],
            maximum_concurrent_rpcs=_CONCURRENT_CALLS,
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._probe_address = probe_address
        self._probed: grpc.aio.Server | None = None
        self._reflection = Methods(complete=True, wrap=False)
        self._methods = Methods()
        self._server.add_generic_rpc_handlers((self._reflection, self._methods))
        self._ready = False
        if registrations is not None:
            self._add(registrations)

    async def register(self, registrations: Sequence[Registration]) -> None:
        """Serve these from now on, and nothing else later."""
        self._add(registrations)
        await self.set_ready(self._ready)

    async def start(self, address: str) -> int:
        """Listen on `host:port`, port 0 for a free one; returns the port. Raises OSError when it cannot be bound."""
        port = _listen(self._server, address, self._credentials)
        await self.set_ready(False)
        await self._health.set(LIVENESS, _SERVING)
        await self._server.start()
        if self._probe_address:
            self._probed = grpc.aio.server(options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=_PROBES_AT_ONCE)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._probed)
            _listen(self._probed, self._probe_address, None)
            await self._probed.start()
        return port

    async def set_ready(self, ready: bool) -> None:
        """What grpc.health.v1 answers for every service here."""
        self._ready = ready
        for service in ("", *self._methods.service_names):
            await self._health.set(service, _SERVING if ready else _NOT_SERVING)

    async def stop(self, drain_seconds: float) -> None:
        """Leave readiness, take no new calls, let running ones end within drain_seconds, then cancel them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(drain_seconds)
        if self._probed is not None:
            await self._probed.stop(0.0)

    def _add(self, registrations: Sequence[Registration]) -> None:
        for register in registrations:
            register(self._methods)
        self._methods.complete = True
        names = (*self._methods.service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        servicer = reflection.aio.ReflectionServicer(names)
        add_ServerReflectionServicer_to_server(servicer, self._reflection)  # type: ignore[no-untyped-call]


def _listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    """The port. Raises OSError when it cannot be bound."""
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen on {address}; is the port taken?") from error

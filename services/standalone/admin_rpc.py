"""Inner services on the public gRPC port: only an admin may call them, since a shard believes the tenant it is told."""

from collections.abc import Mapping
from typing import Any, cast

import grpc

from omma.catalog.interface import Role
from omma.rpc.handlers import Context, Handler
from omma.rpc.server import Registration
from services.gateway.callers.auth import Authenticator, secret_of


def for_admins(register: Registration, authenticator: Authenticator) -> Registration:
    """The same registration, each of its calls after a look at the caller's key."""
    return lambda server: register(_Guarded(server, authenticator))


class _Guarded:
    """Stands where generated `add_…Servicer_to_server` functions expect a server."""

    def __init__(self, server: Any, authenticator: Authenticator) -> None:
        self._server = server
        self._authenticator = authenticator

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]
    ) -> None:
        guarded = {
            name: grpc.unary_unary_rpc_method_handler(
                self._guard(cast(Handler, handler.unary_unary)),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
            for name, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, guarded)

    def _guard(self, handler: Handler) -> Any:
        async def call(request: Any, context: Context) -> Any:
            said = dict(context.invocation_metadata() or ())
            secret = secret_of(_text(said.get("authorization")), _text(said.get("x-api-key")))
            await self._authenticator.caller(secret, Role.ADMIN)
            return await handler(request, context)

        return call


def _text(value: str | bytes | None) -> str | None:
    return value if isinstance(value, str) else None

"""What happens before a call's message is taken: a look at its key, and a place to receive it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, cast

import grpc

from omma.catalog.api_key import Role
from omma.errors import STATUS, InvalidQuery, OmmaError, Overloaded
from omma.identity import Tenant
from omma.rpc.channel import MAX_MESSAGE_BYTES
from omma.rpc.deadline import Deadline
from omma.rpc.handlers import Context, Handler, deadline_of
from omma.rpc.server import Registration
from omma.telemetry.metrics import REQUESTS_SHED
from services.gateway.callers.audit import AuditTrail
from services.gateway.callers.auth import Authenticator, Caller, secret_of
from services.gateway.callers.changes import made_by, noting
from services.gateway.callers.viewing import looks, viewer_of
from services.gateway.sharing.bodies import Bodies
from services.gateway.sharing.places import Places
from services.gateway.sharing.shares import Shares

CHANGE_NOTHING: Final = frozenset(
    {
        "omma.v1.SearchService/Search",
        "omma.v1.SearchService/Get",
        "omma.v1.EmbeddingService/Embed",
        "omma.v1.EmbeddingService/Describe",
        "omma.v1.EmbeddingService/TrainedOn",
        "omma.v1.ShardService/Search",
        "omma.v1.ShardService/Fetch",
        "omma.v1.ShardService/Stats",
        "omma.v1.ShardService/List",
        "omma.v1.ShardService/Digest",
        "omma.v1.RerankService/Rerank",
    }
)
"""Calls that the audit log leaves out."""


class Entrance:
    """gRPC gives a message to a call as a whole, or not yet: of what nobody has asked for it holds 64 KiB a call.

    So a call without a key is refused before its message comes, and as many messages come at a time as the budget of
    bodies could hold of the largest; those that came are charged to it until their calls have ended.
    """

    def __init__(
        self, authenticator: Authenticator, bodies: Bodies, shares: Shares, trail: AuditTrail, *, seconds: float
    ) -> None:
        """seconds: for a message to come. trail: where calls go that may change something."""
        self._authenticator = authenticator
        self._bodies = bodies
        self._receiving = Places(max(1, bodies.max_bytes // MAX_MESSAGE_BYTES), shares)
        self._seconds = seconds
        self._trail = trail

    def before(self, register: Registration, role: Role = Role.READ) -> Registration:
        """The same registration, each of its calls through here first. role: without which no message is taken."""
        return lambda server: register(_Guarded(server, self, role))

    async def caller(self, context: Context, role: Role) -> Caller:
        """Who calls, by the metadata. Raises NotSignedIn, NotAllowed, Overloaded."""
        sent = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
        found = await self._authenticator.caller(secret_of(sent.get("authorization"), sent.get("x-api-key")), role)
        made_by(found)
        looks(viewer_of(found))
        return found

    async def audited(
        self, call: str, handler: Handler, role: Role, messages: AsyncIterator[Any], context: Context
    ) -> Any:
        """As pass_through; who made it and what came of it goes to the audit trail."""
        outcome = grpc.StatusCode.OK.name
        with noting() as change:
            try:
                return await self.pass_through(handler, role, messages, context)
            except OmmaError as error:
                outcome = STATUS[error.kind].grpc
                raise
            except asyncio.CancelledError:
                outcome = grpc.StatusCode.CANCELLED.name
                raise
            except Exception:
                outcome = grpc.StatusCode.INTERNAL.name
                raise
            finally:
                self._trail.add(change, call, outcome)

    async def pass_through(self, handler: Handler, role: Role, messages: AsyncIterator[Any], context: Context) -> Any:
        """What the handler answers to the call's one message. Raises as caller does; OutOfTime, InvalidQuery."""
        tenant = (await self.caller(context, role)).tenant
        request = await self._received(tenant, messages, deadline_of(context, self._seconds))
        size = request.ByteSize()
        self._bodies.charge(tenant, size)
        try:
            return await handler(request, context)
        finally:
            self._bodies.give_back(tenant, size)

    async def _received(self, tenant: Tenant, messages: AsyncIterator[Any], deadline: Deadline) -> Any:
        try:
            await self._receiving.take(tenant, deadline.require())
        except TimeoutError:
            REQUESTS_SHED.labels("body_bytes").inc()
            raise Overloaded("Too many messages are coming in.", retry_after_seconds=1.0) from None
        try:
            async with deadline.ends("Receiving the message"):
                return await anext(messages)
        except StopAsyncIteration:
            raise InvalidQuery("The call has no message.") from None
        finally:
            self._receiving.give_back(tenant)


class _Guarded:
    """Stands where generated `add_…Servicer_to_server` functions expect a server.

    On the wire a call with one message is a stream of one; as a stream it is the handler who takes it.
    """

    def __init__(self, server: Any, entrance: Entrance, role: Role) -> None:
        self._server = server
        self._entrance = entrance
        self._role = role

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]
    ) -> None:
        guarded = {
            name: grpc.stream_unary_rpc_method_handler(
                self._guard(f"{service}/{name}", cast(Handler, handler.unary_unary)),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
            for name, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, guarded)

    def _guard(self, method: str, handler: Handler) -> Any:
        async def read(messages: AsyncIterator[Any], context: Context) -> Any:
            return await self._entrance.pass_through(handler, self._role, messages, context)

        async def change(messages: AsyncIterator[Any], context: Context) -> Any:
            return await self._entrance.audited(method, handler, self._role, messages, context)

        return read if method in CHANGE_NOTHING else change

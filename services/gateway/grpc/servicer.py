"""The gRPC face of the gateway: translates, decides nothing. One error table serves it and REST."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final, TypeAlias

import grpc

from omma.catalog.api_key import Role
from omma.rpc.handlers import deadline_of
from omma.v1 import search_pb2, search_pb2_grpc
from services.gateway.grpc import wire
from services.gateway.grpc.entrance import Entrance
from services.gateway.pictures.core import PictureCore
from services.gateway.search.core import SearchCore

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_SESSION: Final = "omma-session"


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """omma.v1.SearchService over the same cores as REST."""

    def __init__(self, search: SearchCore, pictures: PictureCore, entrance: Entrance, *, seconds: float) -> None:
        """seconds: that a call may take whose caller gives it no deadline, or a later one; a search has timeout_ms."""
        self._search = search
        self._pictures = pictures
        self._entrance = entrance
        self._seconds = seconds

    async def Search(  # noqa: N802  the name in the proto
        self, request: search_pb2.SearchRequest, context: Context
    ) -> search_pb2.SearchResponse:
        caller = await self._entrance.caller(context, Role.READ)
        query = replace(wire.query_from_wire(request), session=_session(context))
        return wire.answer_to_wire(await self._search.search(caller.tenant, query, deadline_of(context)))

    async def Get(  # noqa: N802
        self, request: search_pb2.GetRequest, context: Context
    ) -> search_pb2.GetResponse:
        async with self._deadline(context):
            caller = await self._entrance.caller(context, Role.READ)
            picture = await self._pictures.picture(caller.tenant, request.id)
        return search_pb2.GetResponse(picture=wire.picture_to_wire(picture))

    async def Upsert(  # noqa: N802
        self, request: search_pb2.UpsertRequest, context: Context
    ) -> search_pb2.UpsertResponse:
        async with self._deadline(context):
            caller = await self._entrance.caller(context, Role.WRITE)
            description = wire.description_from_wire(request)
            uploaded = await self._pictures.upload(caller.tenant, request.image, description)
        return search_pb2.UpsertResponse(
            id=uploaded.id, sha256=uploaded.sha256, receipt=str(uploaded.receipt), duplicate=uploaded.duplicate
        )

    async def Delete(  # noqa: N802
        self, request: search_pb2.DeleteRequest, context: Context
    ) -> search_pb2.DeleteResponse:
        async with self._deadline(context):
            caller = await self._entrance.caller(context, Role.WRITE)
            receipt = await self._pictures.delete(caller.tenant, request.id)
        return search_pb2.DeleteResponse(receipt=str(receipt))

    def _deadline(self, context: Context) -> AbstractAsyncContextManager[None]:
        return deadline_of(context, self._seconds).ends("The call")


def _session(context: Context) -> str:
    metadata = context.invocation_metadata() or ()
    return next((str(value) for name, value in metadata if name == _SESSION), "")

"""ShardService: messages in, messages out. Errors become statuses in omma.rpc."""

from collections.abc import Callable
from typing import Final

from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.rpc.errors import fault_of
from omma.rpc.handlers import Context, as_told, deadline_of
from omma.telemetry.context import accepted_request_id, bind_request_id
from omma.telemetry.traces import continued, span
from omma.together import together
from omma.v1 import shard_pb2, shard_pb2_grpc
from services.nn_shard.client import convert
from services.nn_shard.local import LocalShard

_SEARCH: Final = "omma.v1.ShardService/Search"


class ShardServicer(shard_pb2_grpc.ShardServiceServicer):
    """shard_of: the shard of an index that this process serves; given "", the one that it serves by default.

    It raises WrongState for an index that it does not serve.
    """

    def __init__(self, shard_of: Callable[[str], LocalShard]) -> None:
        self._shard_of = shard_of

    async def Search(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceSearchRequest, context: Context
    ) -> shard_pb2.ShardServiceSearchResponse:
        until = deadline_of(context)
        if not request.others:
            return await self._answer(request, until)
        every = await together(self._answer_or_fault(one, until) for one in (request, *request.others))
        every[0].others.extend(every[1:])
        return every[0]

    async def _answer(
        self, request: shard_pb2.ShardServiceSearchRequest, deadline: Deadline
    ) -> shard_pb2.ShardServiceSearchResponse:
        query = convert.shard_query(request)
        return convert.search_response(await self._shard_of(query.index).search(query, deadline))

    async def _answer_or_fault(
        self, request: shard_pb2.ShardServiceSearchRequest, until: Deadline
    ) -> shard_pb2.ShardServiceSearchResponse:
        """Of one among several: its fault is its own, and so are its time, its request id and its span."""
        deadline = until
        if request.timeout_ms:
            deadline = min(until, Deadline.after(request.timeout_ms / 1000), key=Deadline.remaining_seconds)
        try:
            if not request.request_id:  # the call's own
                return await self._answer(request, deadline)
            id = accepted_request_id(request.request_id)
            with bind_request_id(id), continued(request.traceparent), span(_SEARCH):
                return await self._answer(request, deadline)
        except Exception as error:  # noqa: BLE001  the boundary: whatever the shard raises is one question's fault
            return shard_pb2.ShardServiceSearchResponse(fault=fault_of(as_told(_SEARCH, error)))

    async def Fetch(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceFetchRequest, context: Context
    ) -> shard_pb2.ShardServiceFetchResponse:
        shard, deadline = self._shard_of(request.index), deadline_of(context)
        ids = [ImageId(one) for one in request.ids]
        pictures = await shard.fetch(Tenant(request.tenant) if request.tenant else None, ids, deadline)
        return convert.fetch_response(pictures, shard.index, shard.space)

    async def Stats(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceStatsRequest, context: Context
    ) -> shard_pb2.ShardServiceStatsResponse:
        return convert.stats_response(await self._shard_of("").stats(deadline_of(context)))

    async def Digest(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceDigestRequest, context: Context
    ) -> shard_pb2.ShardServiceDigestResponse:
        return convert.digest_response(await self._shard_of(request.index).digests(deadline_of(context)))

    async def List(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceListRequest, context: Context
    ) -> shard_pb2.ShardServiceListResponse:
        shard = self._shard_of(request.index)
        return convert.list_response(await shard.pictures(request.bucket, request.after_id, deadline_of(context)))

    async def Erase(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceEraseRequest, context: Context
    ) -> shard_pb2.ShardServiceEraseResponse:
        ids = [ImageId(one) for one in request.image_ids]
        done = await self._shard_of(request.index).erase(request.token, ids, deadline_of(context))
        return shard_pb2.ShardServiceEraseResponse(done=done)

"""ShardService: messages in, messages out. Errors become statuses in omma.rpc."""

from collections.abc import Callable

from omma.identity import ImageId, Tenant
from omma.rpc.handlers import Context, deadline_of
from omma.v1 import shard_pb2, shard_pb2_grpc
from services.nn_shard.client import convert
from services.nn_shard.local import LocalShard


class ShardServicer(shard_pb2_grpc.ShardServiceServicer):
    """shard_of: the shard of an index that this process serves; given "", the one that it serves by default.

    It raises WrongState for an index that it does not serve.
    """

    def __init__(self, shard_of: Callable[[str], LocalShard]) -> None:
        self._shard_of = shard_of

    async def Search(  # noqa: N802  the name in the proto
        self, request: shard_pb2.ShardServiceSearchRequest, context: Context
    ) -> shard_pb2.ShardServiceSearchResponse:
        query = convert.shard_query(request)
        return convert.search_response(await self._shard_of(query.index).search(query, deadline_of(context)))

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

"""A replica in another process, over gRPC."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import grpc

from omma.hits import FetchedPicture, ShardHits
from omma.identity import ImageId, Tenant
from omma.rpc.channel import call, open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.tls import RenewedCredentials
from omma.v1 import shard_pb2, shard_pb2_grpc
from services.nn_shard.client import convert
from services.nn_shard.client.gathering import Gathering
from services.nn_shard.client.interface import BucketDigests, BucketPage, ShardQuery, ShardStats

_PEER: Final = "A shard"
_Response: TypeAlias = shard_pb2.ShardServiceSearchResponse


class RemoteShard:
    """A ShardClient over one channel; concurrent calls share it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._gathering = Gathering(self._ask, _PEER)
        stub = shard_pb2_grpc.ShardServiceStub(channel)
        self._search = stub.Search
        self._fetch = stub.Fetch
        self._stats = stub.Stats
        self._digest = stub.Digest
        self._list = stub.List
        self._erase = stub.Erase

    @classmethod
    def at(cls, target: str, *, credentials: RenewedCredentials | None = None, certified_as: str = "") -> "RemoteShard":
        """target, certified_as: as of open_channel. Connects on the first call. Needs a running loop."""
        return cls(open_channel(target, credentials=credentials, certified_as=certified_as))

    @property
    def connected(self) -> bool:
        return self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    @property
    def state(self) -> None:
        """It is elsewhere."""
        return None

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        """What arrives while some are under way goes to the shard together."""
        request = convert.search_request(query)
        if query.receipts:  # it waits over there, and nobody should with it
            return convert.shard_hits(await self._ask(request, deadline), query)
        kind = (query.exact, query.use_crops, bool(query.filter))
        return convert.shard_hits(await self._gathering.ask(kind, request, query.k, deadline), query)

    async def _ask(self, request: shard_pb2.ShardServiceSearchRequest, deadline: Deadline) -> _Response:
        return await call(self._search, request, deadline, _PEER)

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        request = shard_pb2.ShardServiceFetchRequest(tenant=tenant or "", ids=ids)
        return convert.fetched_pictures(await call(self._fetch, request, deadline, _PEER))

    async def stats(self, deadline: Deadline) -> ShardStats:
        return convert.shard_stats(await call(self._stats, shard_pb2.ShardServiceStatsRequest(), deadline, _PEER))

    async def digests(self, deadline: Deadline) -> BucketDigests:
        return convert.bucket_digests(await call(self._digest, shard_pb2.ShardServiceDigestRequest(), deadline, _PEER))

    async def pictures(self, bucket: int, after: int, deadline: Deadline) -> BucketPage:
        request = shard_pb2.ShardServiceListRequest(bucket=bucket, after_id=after)
        return convert.bucket_page(await call(self._list, request, deadline, _PEER))

    async def erase(self, token: str, ids: Sequence[ImageId], deadline: Deadline) -> bool:
        request = shard_pb2.ShardServiceEraseRequest(token=token, image_ids=ids)
        answer: shard_pb2.ShardServiceEraseResponse = await call(self._erase, request, deadline, _PEER)
        return answer.done

    async def close(self) -> None:
        await self._channel.close()

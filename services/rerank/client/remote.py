"""The re-ranker in another process, over gRPC."""

from typing import Final

import grpc

from omma.hits import Hits
from omma.rpc.channel import call, open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.tls import RenewedCredentials
from omma.v1 import rerank_pb2_grpc
from services.rerank.client import convert
from services.rerank.client.interface import Reranked, RerankQuery

_PEER: Final = "The re-ranker"


class RemoteReranker:
    """A Reranker over one channel; concurrent calls share it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._rerank = rerank_pb2_grpc.RerankServiceStub(channel).Rerank

    @classmethod
    def at(cls, target: str, *, credentials: RenewedCredentials | None = None) -> "RemoteReranker":
        """target: `host:port`. Connects on the first call. Needs a running loop."""
        return cls(open_channel(target, credentials=credentials, health_checked=True))

    def needs_vectors(self, policy: str) -> bool:
        """Of which policies that is so is known only over there."""
        return True

    def in_doubt(self, query: RerankQuery, candidates: Hits) -> list[int]:
        return []

    async def rerank(self, query: RerankQuery, candidates: Hits, deadline: Deadline) -> Reranked:
        response = await call(self._rerank, convert.rerank_request(query, candidates), deadline, _PEER)
        return convert.reranked_from_wire(response, candidates)

    async def close(self) -> None:
        await self._channel.close()

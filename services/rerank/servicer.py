"""The gRPC face of the re-ranker: translates, decides nothing."""

from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from omma.errors import InvalidQuery
from omma.rpc.handlers import deadline_of
from omma.v1 import rerank_pb2, rerank_pb2_grpc
from services.rerank.client import Reranker, convert

MAX_CANDIDATES: Final = 10_000


class RerankServicer(rerank_pb2_grpc.RerankServiceServicer):
    """omma.v1.RerankService over a Reranker."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker

    async def Rerank(  # noqa: N802  the name in the proto
        self, request: rerank_pb2.RerankRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> rerank_pb2.RerankResponse:
        if len(request.candidates) > MAX_CANDIDATES:
            raise InvalidQuery(
                f"At most {MAX_CANDIDATES} candidates are re-ranked.", field="candidates", limit=MAX_CANDIDATES
            )
        query, candidates = convert.query_and_candidates(request)
        try:
            reranked = await self._reranker.rerank(query, candidates, deadline_of(context))
        except DecodeError:
            raise InvalidQuery("A payload cannot be decoded.", field="encoded_payloads") from None
        return convert.rerank_response(reranked, candidates)

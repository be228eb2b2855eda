"""The gRPC face of EGS: translates, decides nothing."""

import asyncio

from omma.rpc.handlers import Context, deadline_of
from omma.v1 import embedding_pb2, embedding_pb2_grpc
from services.egs.client import Embedder
from services.egs.client.convert import describe_response, embed_items, embed_response


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """EmbeddingService on any embedder. Errors are mapped by omma.rpc.handlers."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(  # noqa: N802 - the name is the RPC's
        self, request: embedding_pb2.EmbedRequest, context: Context
    ) -> embedding_pb2.EmbedResponse:
        answers = await self._embedder.embed(embed_items(request), deadline_of(context))
        if len(answers) == 1 and isinstance(answers[0], Exception):
            raise answers[0]
        return await asyncio.to_thread(embed_response, answers, self._embedder.space)

    async def Describe(  # noqa: N802 - the name is the RPC's
        self, request: embedding_pb2.DescribeRequest, context: Context
    ) -> embedding_pb2.DescribeResponse:
        away = not await self._embedder.ready()
        return describe_response(self._embedder.space, self._embedder.has_text_tower, towers_away=away)

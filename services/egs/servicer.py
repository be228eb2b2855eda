"""The gRPC face of EGS: translates, decides nothing."""

import asyncio
from collections.abc import Callable

from omma.rpc.handlers import Context, deadline_of
from omma.v1 import embedding_pb2, embedding_pb2_grpc
from omma.vectors import to_wire
from services.egs.client import Embedder
from services.egs.client.convert import describe_response, embed_items, embed_response


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """EmbeddingService on any embedder. Errors are mapped by omma.rpc.handlers."""

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        """embedder: that of the time of the call. Raises ReplicaDown while there is none."""
        self._embedder = embedder

    async def Embed(  # noqa: N802 - the name is the RPC's
        self, request: embedding_pb2.EmbedRequest, context: Context
    ) -> embedding_pb2.EmbedResponse:
        embedder = self._embedder()
        answers = await embedder.embed(embed_items(request), deadline_of(context))
        if len(answers) == 1 and isinstance(answers[0], Exception):
            raise answers[0]
        return await asyncio.to_thread(embed_response, answers, embedder.space)

    async def Describe(  # noqa: N802 - the name is the RPC's
        self, request: embedding_pb2.DescribeRequest, context: Context
    ) -> embedding_pb2.DescribeResponse:
        embedder = self._embedder()
        away = not await embedder.ready()
        return describe_response(embedder.space, embedder.has_text_tower, embedder.windows, towers_away=away)

    async def TrainedOn(  # noqa: N802 - the name is the RPC's
        self, request: embedding_pb2.TrainedOnRequest, context: Context
    ) -> embedding_pb2.TrainedOnResponse:
        embedder = self._embedder()
        middles = await embedder.trained_on()
        return embedding_pb2.TrainedOnResponse(
            space=embedder.space.id, middles=None if middles is None else to_wire(middles)
        )

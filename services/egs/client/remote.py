"""The embedder that asks an EGS over gRPC."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import grpc
import numpy as np

from omma.errors import InvalidPicture, InvalidQuery, NoTextTower, OutOfTime, ReplicaDown, TooLarge, UnsupportedMedia
from omma.persistence import until_there
from omma.rpc.channel import call
from omma.rpc.deadline import Deadline
from omma.space import Space, require_same_space
from omma.v1 import embedding_pb2, embedding_pb2_grpc
from omma.vectors import Float16, from_wire
from services.egs.client.convert import MAX_ITEMS, described_space, embed_request, embedded_items
from services.egs.client.interface import EmbeddedItem, ImageItem, TextItem

_ITEM_FAULTS: Final = (InvalidPicture, InvalidQuery, NoTextTower, TooLarge, UnsupportedMedia)
MAX_CALL_BYTES: Final = 32 * 1024 * 1024
"""Of pictures in one call, but for a larger one that is alone: half of what a message may have."""
_DESCRIBE_SECONDS: Final = 5.0
_PEER: Final = "The embedder"


class RemoteEmbedder:
    """Embedder over a channel, which it closes. Make it with `connect` or `found`."""

    def __init__(self, channel: grpc.aio.Channel, space: Space, has_text_tower: bool, windows: int = 0) -> None:
        self._channel = channel
        self._stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        self._space = space
        self._has_text_tower = has_text_tower
        self._windows = windows

    @classmethod
    async def connect(cls, channel: grpc.aio.Channel, deadline: Deadline) -> "RemoteEmbedder":
        """Asks the service for its space. Raises ReplicaDown, OutOfTime."""
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        said = await call(stub.Describe, embedding_pb2.DescribeRequest(), deadline, _PEER)
        return cls(channel, described_space(said), said.has_text_tower, said.windows)

    @classmethod
    async def found(cls, channel: grpc.aio.Channel) -> "RemoteEmbedder":
        """Waits until the service answers, with a word to the log now and then: for a process that starts before it."""
        return await until_there("EGS", lambda: cls.connect(channel, Deadline.after(_DESCRIBE_SECONDS)))

    @property
    def space(self) -> Space:
        return self._space

    @property
    def has_text_tower(self) -> bool:
        return self._has_text_tower

    @property
    def windows(self) -> int:
        return self._windows

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        """As Embedder, in as many calls as the items' sizes need. Raises WrongSpace after the service changed model."""
        answers: list[EmbeddedItem | Exception] = []
        for part in _parts(items):
            answers += await self._embed_part(part, deadline)
        return answers

    async def trained_on(self) -> Float16 | None:
        """As Embedder. Raises WrongSpace after the service changed model; Bug where it is older than this call."""
        said = await call(
            self._stub.TrainedOn, embedding_pb2.TrainedOnRequest(), Deadline.after(_DESCRIBE_SECONDS), _PEER
        )
        require_same_space(self._space.id, said.space)
        if not said.HasField("middles"):
            return None
        return from_wire(said.middles, self._space.dim).astype(np.float16, copy=False)

    async def ready(self) -> bool:
        """As Embedder; False also when no EGS answers."""
        try:
            said = await call(
                self._stub.Describe, embedding_pb2.DescribeRequest(), Deadline.after(_DESCRIBE_SECONDS), _PEER
            )
        except (ReplicaDown, OutOfTime):
            return False
        return not said.towers_away

    async def close(self) -> None:
        await self._channel.close()

    async def _embed_part(
        self, items: Sequence[ImageItem | TextItem], deadline: Deadline
    ) -> list[EmbeddedItem | Exception]:
        # Pictures are copied into the message: megabytes, which the event loop must not wait for.
        request = await asyncio.to_thread(embed_request, items)
        try:
            response = await self._embedded(request, deadline)
        except _ITEM_FAULTS as error:
            if len(items) == 1:
                return [error]
            raise
        require_same_space(self._space.id, response.space)
        return embedded_items(response, self._space.dim)

    async def _embedded(self, request: embedding_pb2.EmbedRequest, deadline: Deadline) -> embedding_pb2.EmbedResponse:
        try:
            return await call(self._stub.Embed, request, deadline, _PEER)
        except ReplicaDown:
            # One of several died under the call, or is being replaced: the channel has another one by now.
            return await call(self._stub.Embed, request, deadline, _PEER)


def _parts(items: Sequence[ImageItem | TextItem]) -> Iterator[Sequence[ImageItem | TextItem]]:
    start = size = 0
    for at, item in enumerate(items):
        length = len(item.content) if isinstance(item, ImageItem) else len(item.text) * 4
        if at > start and (at - start == MAX_ITEMS or size + length > MAX_CALL_BYTES):
            yield items[start:at]
            start, size = at, 0
        size += length
    if items:
        yield items[start:]

"""EGS's messages and its values, both ways, here and nowhere else."""

from collections.abc import Sequence

import numpy as np

from omma.errors import ERROR_OF_KIND, InvalidQuery, Kind, OmmaError
from omma.records import boxes_from_wire, boxes_to_wire, quality_from_wire, quality_to_wire
from omma.rpc.errors import generic_bug
from omma.space import Space, SpaceId
from omma.v1 import embedding_pb2
from omma.vectors import from_wire, to_wire
from services.egs.client.interface import EmbeddedItem, ImageItem, TextItem, Urgency

MAX_ITEMS = 64
"""Of one request."""

_KINDS = frozenset(kind.value for kind in Kind)
_URGENCY = {
    embedding_pb2.URGENCY_SEARCH: Urgency.SEARCH,
    embedding_pb2.URGENCY_INGEST: Urgency.INGEST,
    embedding_pb2.URGENCY_BACKFILL: Urgency.BACKFILL,
}
_URGENCY_TO_WIRE = {value: wire for wire, value in _URGENCY.items()}


def embed_request(items: Sequence[ImageItem | TextItem]) -> embedding_pb2.EmbedRequest:
    return embedding_pb2.EmbedRequest(items=map(_item_to_wire, items))


def embed_items(message: embedding_pb2.EmbedRequest) -> list[ImageItem | TextItem]:
    """Raises InvalidQuery, field `items`, unless there are 1 to 64 and each has a picture or words."""
    if not 1 <= len(message.items) <= MAX_ITEMS:
        raise InvalidQuery(f"Send 1 to {MAX_ITEMS} items.", field="items", limit=MAX_ITEMS)
    return [_item_from_wire(item) for item in message.items]


def embed_response(answers: Sequence[EmbeddedItem | Exception], space: Space) -> embedding_pb2.EmbedResponse:
    return embedding_pb2.EmbedResponse(items=map(_answer_to_wire, answers), space=space.id)


def embedded_items(message: embedding_pb2.EmbedResponse, dim: int) -> list[EmbeddedItem | Exception]:
    """Raises InvalidQuery, field `vector`, for vectors that do not have `dim`."""
    return [_answer_from_wire(item, dim) for item in message.items]


def describe_response(
    space: Space, has_text_tower: bool, windows: int, *, towers_away: bool
) -> embedding_pb2.DescribeResponse:
    return embedding_pb2.DescribeResponse(
        space=space.id,
        model=space.model,
        signature=space.signature,
        dim=space.dim,
        buckets=space.buckets,
        has_text_tower=has_text_tower,
        towers_away=towers_away,
        windows=windows,
    )


def described_space(message: embedding_pb2.DescribeResponse) -> Space:
    return Space(SpaceId(message.space), message.model, message.signature, message.dim, message.buckets)


def _item_to_wire(item: ImageItem | TextItem) -> embedding_pb2.EmbedItem:
    if isinstance(item, TextItem):
        return embedding_pb2.EmbedItem(text=item.text)
    return embedding_pb2.EmbedItem(
        image=item.content,
        boxes=[] if item.boxes is None else boxes_to_wire(item.boxes),
        fractions=[
            embedding_pb2.FractionBox(left=left, top=top, right=right, bottom=bottom)
            for left, top, right, bottom in item.fractions
        ],
        thumbnail=item.thumbnail,
        signature=item.signature,
        urgency=_URGENCY_TO_WIRE[item.urgency],
        windows=item.windows,
    )


def _item_from_wire(message: embedding_pb2.EmbedItem) -> ImageItem | TextItem:
    match message.WhichOneof("content"):
        case "text":
            return TextItem(message.text)
        case "image":
            return ImageItem(
                content=message.image,
                boxes=boxes_from_wire(message.boxes) if message.boxes else None,
                fractions=tuple((box.left, box.top, box.right, box.bottom) for box in message.fractions),
                windows=message.windows,
                thumbnail=message.thumbnail,
                signature=message.signature,
                urgency=_URGENCY.get(message.urgency, Urgency.SEARCH),
            )
        case _:
            raise InvalidQuery("An item has neither a picture nor words.", field="items")


def _answer_to_wire(answer: EmbeddedItem | Exception) -> embedding_pb2.Embedded:
    if isinstance(answer, Exception):
        error = answer if isinstance(answer, OmmaError) else generic_bug()
        return embedding_pb2.Embedded(
            problem=embedding_pb2.Problem(
                kind=error.kind.value, detail=error.detail, field=error.field or "", limit=error.limit
            )
        )
    return embedding_pb2.Embedded(
        vectors=to_wire(answer.vectors),
        boxes=boxes_to_wire(answer.boxes),
        phash=answer.phash,
        width=answer.width,
        height=answer.height,
        confidence=answer.confidence,
        thumbnail=answer.thumbnail,
        signature=answer.signature,
        quality=None if answer.quality is None else quality_to_wire(answer.quality),
    )


def _answer_from_wire(message: embedding_pb2.Embedded, dim: int) -> EmbeddedItem | Exception:
    if message.HasField("problem"):
        said = message.problem
        kind = Kind(said.kind) if said.kind in _KINDS else Kind.BUG
        limit = said.limit if said.HasField("limit") else None
        return ERROR_OF_KIND[kind](said.detail, field=said.field or None, limit=limit)
    return EmbeddedItem(
        vectors=from_wire(message.vectors, dim).astype(np.float32, copy=False),
        boxes=boxes_from_wire(message.boxes),
        # A sender of before the field had presence leaves out that of a black picture; words have no width.
        phash=message.phash if message.HasField("phash") or message.width else None,
        width=message.width,
        height=message.height,
        confidence=message.confidence,
        thumbnail=message.thumbnail,
        signature=message.signature,
        quality=quality_from_wire(message.quality) if message.HasField("quality") else None,
    )

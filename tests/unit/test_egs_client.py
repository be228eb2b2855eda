"""EGS over gRPC answers as the embedder behind it does."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import numpy as np
import pytest

from omma.errors import InvalidPicture, InvalidQuery, NoTextTower, OmmaError, Overloaded, TooLarge, WrongSpace
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.space import Space, SpaceId
from omma.v1 import embedding_pb2, embedding_pb2_grpc
from omma.vectors import Float16
from services.egs.client import EmbeddedItem, ImageItem, RemoteEmbedder, TextItem, Urgency
from services.egs.client.convert import embed_items, embed_request, embed_response, embedded_items
from services.egs.servicer import EmbeddingServicer

SPACE = Space(SpaceId("m-1.0.0-abcdef01"), "m@1.0.0", "abcdef01" * 8, 4, 32)
FAULTS: dict[bytes, OmmaError] = {
    b"broken": InvalidPicture("cut off", field="image"),
    b"large": TooLarge("too many bytes", field="image", limit=20_000_000),
    b"boxed": InvalidQuery("outside", field="bbox"),
}


class Scripted:
    """An embedder whose vectors say which item they answer, and that remembers what it was asked."""

    def __init__(self) -> None:
        self.space = SPACE
        self.has_text_tower = False
        self.windows = 16
        self.calls: list[list[ImageItem | TextItem]] = []
        self.full = False
        self.towers = True
        self.middles: Float16 | None = None

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        self.calls.append(list(items))
        if self.full:
            raise Overloaded("full", limit=1, retry_after_seconds=1.5)
        return [self.answer(item) for item in items]

    def answer(self, item: ImageItem | TextItem) -> EmbeddedItem | Exception:
        if isinstance(item, TextItem):
            return NoTextTower("no words here", field="text")
        if item.content == b"bug":
            return KeyError("secret")
        if item.content in FAULTS:
            return FAULTS[item.content]
        boxes = np.array([[0, 0, 7, 9]], np.int32) if item.boxes is None else item.boxes
        return EmbeddedItem(
            vectors=np.full((len(boxes), 4), len(item.content), np.float32),
            boxes=boxes,
            phash=2**64 - 1,
            width=7,
            height=9,
            confidence=0.5,
            thumbnail=b"webp" if item.thumbnail else b"",
        )

    async def trained_on(self) -> Float16 | None:
        return self.middles

    async def ready(self) -> bool:
        return self.towers

    async def close(self) -> None: ...


@pytest.fixture
def behind() -> Scripted:
    return Scripted()


@pytest.fixture
async def remote(behind: Scripted) -> AsyncIterator[RemoteEmbedder]:
    servicer = EmbeddingServicer(lambda: behind)
    server = RpcServer([partial(embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, servicer)])
    port = await server.start("127.0.0.1:0")
    embedder = await RemoteEmbedder.connect(open_channel(f"127.0.0.1:{port}"), Deadline.after(20))
    yield embedder
    await embedder.close()
    await server.stop(0)


async def test_connecting_learns_the_space(remote: RemoteEmbedder, behind: Scripted) -> None:
    assert remote.space == SPACE
    assert await remote.ready()
    behind.towers = False
    assert not await remote.ready()
    assert remote.has_text_tower is False and remote.windows == 16


async def test_what_the_model_was_trained_on_goes_over(remote: RemoteEmbedder, behind: Scripted) -> None:
    assert await remote.trained_on() is None
    behind.middles = np.eye(3, 4, dtype=np.float16)
    found = await remote.trained_on()
    assert found is not None and found.dtype == np.float16 and np.array_equal(found, behind.middles)
    behind.space = Space(SpaceId("m-1.1.0-12345678"), "m@1.1.0", "12345678" * 8, 4, 32)
    with pytest.raises(WrongSpace):
        await remote.trained_on()


async def test_items_go_over_whole_and_answers_come_back_in_order(remote: RemoteEmbedder, behind: Scripted) -> None:
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.int32)
    fractions = ((0.1, 0.2, 0.3, 0.4),)
    second_item = ImageItem(b"bb", fractions=fractions, windows=True, thumbnail=True, urgency=Urgency.BACKFILL)
    items = [ImageItem(b"a", boxes=boxes), second_item]
    first, second = await remote.embed(items, Deadline.after(20))
    assert isinstance(first, EmbeddedItem)
    assert isinstance(second, EmbeddedItem)
    (asked,) = behind.calls
    assert isinstance(asked[0], ImageItem)
    assert np.array_equal(asked[0].boxes, boxes)
    assert (asked[0].urgency, asked[1]) == (Urgency.SEARCH, second_item)
    assert first.vectors.dtype == np.float32
    assert first.vectors.tolist() == [[1.0] * 4] * 2
    assert np.array_equal(first.boxes, boxes)
    assert second.vectors.tolist() == [[2.0] * 4]
    assert (second.phash, second.width, second.height, second.confidence) == (2**64 - 1, 7, 9, 0.5)
    assert (first.thumbnail, second.thumbnail) == (b"", b"webp")


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("content", sorted(FAULTS))
async def test_an_items_fault_is_its_answer(remote: RemoteEmbedder, content: bytes, alone: bool) -> None:
    items = [ImageItem(content)] if alone else [ImageItem(b"a"), ImageItem(content), ImageItem(b"b")]
    answers = await remote.embed(items, Deadline.after(20))
    fault = answers[0 if alone else 1]
    assert isinstance(fault, OmmaError)
    expected = FAULTS[content]
    assert (fault.kind, fault.detail, fault.field, fault.limit) == (
        expected.kind,
        expected.detail,
        expected.field,
        expected.limit,
    )
    assert alone or all(isinstance(answers[at], EmbeddedItem) for at in (0, 2))


async def test_words_without_a_text_tower_are_the_items_fault(remote: RemoteEmbedder) -> None:
    (answer,) = await remote.embed([TextItem("a red boat")], Deadline.after(20))
    assert isinstance(answer, NoTextTower)


async def test_a_bug_is_told_in_generic_words(remote: RemoteEmbedder) -> None:
    answers = await remote.embed([ImageItem(b"bug"), ImageItem(b"a")], Deadline.after(20))
    assert isinstance(answers[0], OmmaError)
    assert answers[0].kind == "bug"
    assert "secret" not in answers[0].detail


async def test_a_full_queue_fails_the_call(remote: RemoteEmbedder, behind: Scripted) -> None:
    behind.full = True
    with pytest.raises(Overloaded) as error:
        await remote.embed([ImageItem(b"a"), ImageItem(b"b")], Deadline.after(20))
    assert error.value.retry_after_seconds == 1.5


async def test_many_or_large_items_are_sent_in_parts(remote: RemoteEmbedder, behind: Scripted) -> None:
    items = [ImageItem(b"x" * (number + 1)) for number in range(130)] + [ImageItem(bytes(17_000_000))] * 3
    answers = await remote.embed(items, Deadline.after(60))
    assert [answer.vectors[0, 0] for answer in answers if isinstance(answer, EmbeddedItem)][:130] == [*range(1, 131)]
    assert [len(call) for call in behind.calls] == [64, 64, 3, 1, 1]


async def test_nothing_asks_nothing(remote: RemoteEmbedder, behind: Scripted) -> None:
    assert await remote.embed([], Deadline.after(20)) == []
    assert behind.calls == []


async def test_a_service_that_changed_its_model_is_not_mixed_in(remote: RemoteEmbedder, behind: Scripted) -> None:
    behind.space = Space(SpaceId("m-2.0.0-abcdef01"), "m@2.0.0", "abcdef01" * 8, 4)
    with pytest.raises(WrongSpace):
        await remote.embed([ImageItem(b"a")], Deadline.after(20))


@pytest.mark.parametrize(
    "message",
    [
        embedding_pb2.EmbedRequest(),
        embedding_pb2.EmbedRequest(items=[embedding_pb2.EmbedItem()]),
        embed_request([ImageItem(b"a")] * 65),
    ],
)
def test_a_request_must_ask_something_bounded(message: embedding_pb2.EmbedRequest) -> None:
    with pytest.raises(InvalidQuery) as error:
        embed_items(message)
    assert error.value.field == "items"


def test_the_phash_of_a_black_picture_is_0_and_words_have_none() -> None:
    black = EmbeddedItem(np.ones((1, 3), np.float32), np.zeros((1, 4), np.int32), phash=0, width=7, height=9)
    words = EmbeddedItem(np.ones((1, 3), np.float32), np.empty((0, 4), np.int32))
    message = embed_response([black, words], SPACE)
    assert [one.HasField("phash") for one in message.items] == [True, False]
    message.items[0].ClearField("phash")  # as a sender of before the field had presence
    one, other = embedded_items(message, 3)
    assert isinstance(one, EmbeddedItem) and isinstance(other, EmbeddedItem)
    assert (one.phash, other.phash) == (0, None)

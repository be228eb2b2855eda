"""The embedder with a real model on real photographs: one suite, in process and on a real Triton."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, oriented, png_bomb, scene
from PIL import Image

from deploy.parts.triton import Triton, triton
from omma.errors import (
    Corrupt,
    InvalidPicture,
    InvalidQuery,
    NoTextTower,
    OutOfTime,
    Overloaded,
    TooLarge,
    UnsupportedMedia,
)
from omma.images import phash
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.v1 import embedding_pb2_grpc
from services.egs.client import EmbeddedItem, ImageItem, RemoteEmbedder, TextItem
from services.egs.embedder import ModelEmbedder, OnnxEmbedder
from services.egs.registry import Model, load_model
from services.egs.servicer import EmbeddingServicer
from services.egs.settings import EgsSettings
from services.egs.triton.open import open_triton_embedder
from services.egs.triton.repository import Serving, write_repository
from services.egs.triton.settings import TritonSettings
from tests.part_fixtures import started
from tests.teacher import ONNX_NAME, register_teacher


@pytest.fixture(scope="module")
def model(teacher_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return register_teacher(teacher_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def served(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    repository = tmp_path_factory.mktemp("repository")
    write_repository(model, repository, Serving(platform="python", max_batch=8))
    yield from started(lambda: triton(repository))


@pytest.fixture(params=["onnxruntime", "triton"])
async def embedder(model: Model, request: pytest.FixtureRequest) -> AsyncIterator[ModelEmbedder]:
    settings = EgsSettings(queue_items=16)
    if request.param == "onnxruntime":
        made: ModelEmbedder = await asyncio.to_thread(OnnxEmbedder, model, settings)
        yield made
        await made.close()
        return
    url = request.getfixturevalue("served").url
    async with AsyncExitStack() as stack:
        yield await open_triton_embedder(model, settings, TritonSettings(url=url), stack)


async def embedded(embedder: ModelEmbedder, *items: ImageItem) -> list[EmbeddedItem]:
    answers = await embedder.embed(items, Deadline.after(60))
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    return [answer for answer in answers if isinstance(answer, EmbeddedItem)]


async def test_vectors_are_unit_float32_stamped_by_the_space(embedder: ModelEmbedder) -> None:
    (answer,) = await embedded(embedder, ImageItem(encoded(scene()), thumbnail=True))
    assert answer.vectors.shape == (1, 1280)
    assert answer.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(answer.vectors, axis=1), 1, atol=1e-6)
    assert answer.boxes.tolist() == [[0, 0, 320, 200]]
    assert answer.thumbnail
    assert embedder.space.id.startswith("mobilenet-edgetpu-1.0.0-")
    assert embedder.space.dim == 1280


async def test_answers_come_in_order_and_a_bad_picture_fails_alone(embedder: ModelEmbedder) -> None:
    good = [encoded(scene(seed=seed), "PNG") for seed in range(4)]
    alone = [(await embedded(embedder, ImageItem(content)))[0].vectors for content in good]
    text: ImageItem | TextItem = TextItem("a boat")
    outside = ImageItem(good[0], boxes=np.array([[999, 0, 1200, 9]], np.int32))
    items = [
        ImageItem(good[0]),
        ImageItem(encoded(scene())[:900]),
        ImageItem(good[1]),
        ImageItem(b"<svg/>"),
        ImageItem(good[2]),
        ImageItem(png_bomb(12_000)),
        outside,
        text,
        ImageItem(good[3]),
    ]
    answers = await embedder.embed(items, Deadline.after(60))
    kinds = [type(answer) for answer in answers]
    assert kinds == [
        EmbeddedItem,
        InvalidPicture,
        EmbeddedItem,
        UnsupportedMedia,
        EmbeddedItem,
        TooLarge,
        InvalidQuery,
        NoTextTower,
        EmbeddedItem,
    ]
    vectors = [answer.vectors for answer in answers if isinstance(answer, EmbeddedItem)]
    assert all(np.array_equal(left, right) for left, right in zip(vectors, alone, strict=True))


async def test_batches_and_threads_change_no_bit(model: Model, embedder: ModelEmbedder) -> None:
    items = [ImageItem(encoded(scene(seed=seed))) for seed in range(8)]
    alone = [(await embedded(embedder, item))[0].vectors for item in items]
    batching = await asyncio.to_thread(OnnxEmbedder, model, EgsSettings(max_batch=8, model_threads=1))
    try:
        together = await embedded(batching, *items)
    finally:
        await batching.close()
    assert all(np.array_equal(left, right.vectors) for left, right in zip(alone, together, strict=True))


async def test_a_box_is_the_crop_of_the_upright_picture(embedder: ModelEmbedder) -> None:
    upright = scene(640, 400)
    box = np.array([[120, 40, 480, 360]], np.int32)
    items = [ImageItem(oriented(upright, orientation, "PNG"), boxes=box) for orientation in range(1, 9)]
    crop = ImageItem(encoded(upright.crop((120, 40, 480, 360)), "PNG"))
    *turned, cropped = await embedded(embedder, *items, crop)
    for answer in turned:
        assert np.array_equal(answer.vectors, cropped.vectors)
        assert answer.phash == phash(upright)


async def test_a_photograph_is_itself_in_every_colour_mode(embedder: ModelEmbedder, photographs: Path) -> None:
    modes = photographs / "edited-copies" / "modes"
    files = [path for path in sorted(modes.iterdir()) if path.suffix != ".md"]
    colour = {"CMYK.jpg", "F.webp", "HSV.webp", "I.webp", "RGB.jpg", "RGBA.png", "YCbCr.jpg", "original.jpg"}
    answers = await embedded(embedder, *[ImageItem(path.read_bytes()) for path in files])
    original = next(answer for path, answer in zip(files, answers, strict=True) if path.name == "original.jpg")
    for path, answer in zip(files, answers, strict=True):
        assert (answer.phash ^ original.phash).bit_count() <= 2, path.name
        if path.name in colour and not _is_grey(path):
            assert float(answer.vectors[0] @ original.vectors[0]) > 0.97, path.name


async def test_edited_copies_are_near_duplicates(embedder: ModelEmbedder, photographs: Path) -> None:
    files = sorted((photographs / "edited-copies" / "bridge").glob("*.jpg"))
    answers = await embedded(embedder, *[ImageItem(path.read_bytes()) for path in files])
    original = answers[0]
    far = [
        path.name
        for path, answer in zip(files, answers, strict=True)
        if (answer.phash ^ original.phash).bit_count() > 6
    ]
    assert far == []


async def test_a_full_queue_refuses_and_recovers(embedder: ModelEmbedder) -> None:
    item = ImageItem(encoded(scene()))
    first = asyncio.create_task(embedder.embed([item] * 16, Deadline.after(60)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as error:
        await embedder.embed([item], Deadline.after(60))
    assert error.value.retry_after_seconds
    assert len(await first) == 16
    assert len(await embedded(embedder, item)) == 1


async def test_out_of_time_is_said_and_frees_the_queue(embedder: ModelEmbedder) -> None:
    large = ImageItem(encoded(scene(3000, 2000), "PNG"))
    with pytest.raises(OutOfTime):
        await embedder.embed([large] * 16, Deadline.after(0.02))
    with pytest.raises(OutOfTime):
        await embedder.embed([large], Deadline.after(0))
    assert len(await embedded(embedder, *[ImageItem(encoded(scene()))] * 16)) == 16


async def test_a_cancelled_request_leaves_the_queues(embedder: ModelEmbedder) -> None:
    large = ImageItem(encoded(scene(3000, 2000), "PNG"))
    task = asyncio.create_task(embedder.embed([large] * 16, Deadline.after(60)))
    for _ in range(5):  # turns of the loop: the items are with the decode threads then
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await embedded(embedder, *[ImageItem(encoded(scene()))] * 16)) == 16


async def test_close_ends_every_thread(model: Model) -> None:
    made = await asyncio.to_thread(OnnxEmbedder, model, EgsSettings())
    assert [thread for thread in threading.enumerate() if thread.name.startswith("egs-")]
    await made.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("egs-")]


def test_a_graph_that_is_not_its_manifests_is_corrupt(model: Model) -> None:
    wrong_dim = Model(model.manifest.model_copy(update={"dim": 64}), model.folder)
    with pytest.raises(Corrupt, match="dim 64"):
        OnnxEmbedder(wrong_dim, EgsSettings())
    image = model.manifest.image.model_copy(update={"output": "nothing"})
    wrong_name = Model(model.manifest.model_copy(update={"image": image}), model.folder)
    with pytest.raises(Corrupt, match="nothing"):
        OnnxEmbedder(wrong_name, EgsSettings())


def test_a_changed_tower_is_never_loaded(teacher_model: Path, tmp_path: Path) -> None:
    model = register_teacher(teacher_model, tmp_path)
    with model.path(ONNX_NAME).open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\1\2\3")
    with pytest.raises(Corrupt, match=ONNX_NAME):
        load_model(tmp_path, "mobilenet-edgetpu")


async def test_the_service_answers_as_the_embedder(embedder: ModelEmbedder) -> None:
    servicer = EmbeddingServicer(lambda: embedder)
    server = RpcServer([partial(embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, servicer)])
    port = await server.start("127.0.0.1:0")
    await server.set_ready(True)
    remote = await RemoteEmbedder.connect(open_channel(f"127.0.0.1:{port}"), Deadline.after(30))
    try:
        assert remote.space == embedder.space
        item = ImageItem(encoded(scene()), thumbnail=True)
        (there,) = await remote.embed([item], Deadline.after(30))
        (here,) = await embedded(embedder, item)
        assert isinstance(there, EmbeddedItem)
        assert np.array_equal(there.vectors, here.vectors)
        assert (there.phash, there.width, there.height) == (here.phash, here.width, here.height)
        assert there.thumbnail == here.thumbnail
        (bad,) = await remote.embed([ImageItem(b"no picture")], Deadline.after(30))
        assert isinstance(bad, UnsupportedMedia)
    finally:
        await remote.close()
        await server.stop(0)


def _is_grey(path: Path) -> bool:
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"), np.int16)
    return bool(np.abs(pixels[..., 0] - pixels[..., 2]).mean() < 1)

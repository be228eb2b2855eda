"""A real Triton: towers of tiny models, and what EGS says when Triton is gone, slow, or serves something else."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from onnx_graphs import image_tower, text_tower
from pictures import encoded, scene
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from deploy.parts.triton import Triton, triton
from omma.errors import Absent, InvalidQuery, OutOfTime, ReplicaDown, WrongSpace
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem, TextItem, Urgency
from services.egs.embedder import ModelEmbedder, OnnxEmbedder
from services.egs.manifest import ImageTower, Manifest, Preprocessing, TextTower
from services.egs.registry import Model, register, sha256_of_file
from services.egs.settings import EgsSettings
from services.egs.triton.naming import triton_name
from services.egs.triton.open import open_triton_embedder
from services.egs.triton.repository import Serving, write_repository
from services.egs.triton.settings import TritonSettings
from tests.part_fixtures import started

WORDS = ["[pad]", "[unk]", "red", "boat", "at", "sea"]
QUICK = EgsSettings()


def registered(root: Path, name: str, seed: int = 0) -> Model:
    given = root / "given"
    given.mkdir(parents=True, exist_ok=True)
    (given / "image.onnx").write_bytes(image_tower(8, 5, seed))
    (given / "text.onnx").write_bytes(text_tower(len(WORDS), 5, seed, confident=True))
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[unk]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(given / "tokenizer.json"))
    files = {path.name: path for path in sorted(given.iterdir())}
    manifest = Manifest(
        name=name,
        version="1.0.0",
        dim=5,
        image=ImageTower(file="image.onnx", input="pixels", output="vector"),
        preprocessing=Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        text=TextTower(
            file="text.onnx",
            tokenizer="tokenizer.json",
            input="tokens",
            output="vector",
            max_tokens=4,
            confidence="trust",
        ),
        files={file: sha256_of_file(path) for file, path in files.items()},
    )
    return register(root / "models", manifest, files)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return registered(tmp_path_factory.mktemp("tiny"), "tiny")


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose towers on Triton say that they are of another entry."""
    return registered(tmp_path_factory.mktemp("forged"), "forged", seed=1)


@pytest.fixture(scope="module")
def served(model: Model, forged: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    repository = tmp_path_factory.mktemp("repository")
    serving = Serving(platform="python", max_batch=4, max_queued=64)
    write_repository(model, repository, serving)
    write_repository(forged, repository, serving)
    config = repository / triton_name(forged.manifest, "image") / "config.pbtxt"
    config.write_text(config.read_text().replace(forged.manifest.signature(), "0" * 64))
    yield from started(lambda: triton(repository))


async def opened(model: Model, url: str, stack: AsyncExitStack, **settings: float) -> ModelEmbedder:
    return await open_triton_embedder(model, QUICK, TritonSettings(url=url, **settings), stack)


async def vectors(embedder: ModelEmbedder, *items: ImageItem | TextItem) -> np.ndarray:
    answers = await embedder.embed(items, Deadline.after(30))
    assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    return np.concatenate([answer.vectors for answer in answers if isinstance(answer, EmbeddedItem)])


async def confidences(embedder: ModelEmbedder, *texts: str) -> list[float]:
    answers = await embedder.embed([TextItem(text) for text in texts], Deadline.after(30))
    return [answer.confidence for answer in answers if isinstance(answer, EmbeddedItem)]


async def test_pictures_and_words_are_what_they_are_in_process(model: Model, served: Triton) -> None:
    boxes = np.array([[x, 0, x + 40, 80] for x in range(10)], np.int32)  # more rows than one batch may have
    items = [
        *[ImageItem(encoded(scene(seed=seed))) for seed in range(12)],
        ImageItem(encoded(scene()), boxes=boxes),
        *[TextItem(text) for text in ("red", "red boat at sea", "boat")],
    ]
    here = await asyncio.to_thread(OnnxEmbedder, model, QUICK)
    async with AsyncExitStack() as stack:
        there = await opened(model, served.url, stack)
        assert there.space == here.space
        assert there.has_text_tower
        left, right = await vectors(here, *items), await vectors(there, *items)
        sure = [await confidences(one, "red", "red boat at sea", "boat") for one in (here, there)]
        (nothing,) = await there.embed([TextItem(" ")], Deadline.after(30))
        assert isinstance(nothing, InvalidQuery)
    await here.close()
    assert sure[0] == pytest.approx(sure[1], abs=1e-6)
    assert len(set(sure[0])) > 1, "the towers say how far they trust themselves"
    assert left.shape == right.shape == (25, 5)
    assert (1 - (left * right).sum(axis=1)).max() < 1e-4


SLOW = """

class TritonPythonModel(TritonPythonModel):
    def execute(self, requests):
        import time
        time.sleep(0.5)
        return super().execute(requests)
"""


async def test_a_search_overtakes_ingest_in_tritons_queue_and_ingest_the_backfill(
    model: Model, served: Triton, tmp_path: Path
) -> None:
    assert served.server.running()  # one of our own, so that another can be started
    (image, _text) = write_repository(model, tmp_path, Serving(platform="python", max_batch=1))
    with (image / "1" / "model.py").open("a") as file:
        file.write(SLOW)
    done: list[Urgency] = []
    with triton(tmp_path) as slow:
        async with AsyncExitStack() as stack:
            embedder = await opened(model, slow.url, stack)

            async def embed(urgency: Urgency) -> None:
                await vectors(embedder, ImageItem(encoded(scene()), urgency=urgency))
                done.append(urgency)

            async with asyncio.TaskGroup() as tasks:
                for urgency in sorted([*Urgency] * 4, reverse=True):
                    tasks.create_task(embed(urgency))
                    await asyncio.sleep(0)
    # Whatever came first is under way before the others wait: on a busy machine two or three.
    places = {one: sum(place for place, urgency in enumerate(done) if urgency is one) for one in Urgency}
    assert places[Urgency.SEARCH] < places[Urgency.INGEST] < places[Urgency.BACKFILL], done


async def test_a_repository_of_before_is_sent_floats(model: Model, served: Triton, tmp_path: Path) -> None:
    """Rendered by an earlier version: its image tower takes what the graph takes."""
    assert served.server.running()  # one of our own, so that another can be started
    (image, _text) = write_repository(model, tmp_path, Serving(platform="python", max_batch=4))
    config = image / "config.pbtxt"
    told = config.read_text().replace("TYPE_UINT8", "TYPE_FP32").replace("[8, 8, 3]", "[3, 8, 8]")
    later = ('"mean"', '"std"', "priority_level")
    config.write_text("".join(line for line in told.splitlines(True) if not any(one in line for one in later)))
    item = ImageItem(encoded(scene()), urgency=Urgency.BACKFILL)
    here = await asyncio.to_thread(OnnxEmbedder, model, QUICK)
    with triton(tmp_path) as earlier:
        async with AsyncExitStack() as stack:
            there = await opened(model, earlier.url, stack)
            assert np.allclose(await vectors(there, item), await vectors(here, item), atol=1e-6)
    await here.close()


async def test_towers_of_another_entry_are_refused(forged: Model, served: Triton) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(WrongSpace) as error:
            await opened(forged, served.url, stack)
    assert error.value.field == "OMMA_TRITON__URL"


async def test_a_model_that_is_not_served_is_absent(served: Triton, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(Absent, match="triton-repo"):
            await opened(registered(tmp_path, "other"), served.url, stack, connect_seconds=1.0)


async def test_no_triton_is_a_replica_down(model: Model) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(ReplicaDown):
            await opened(model, "127.0.0.1:1", stack, connect_seconds=1.0)


async def test_a_triton_that_is_gone_or_hangs_fails_the_item_and_is_found_again(model: Model, served: Triton) -> None:
    item = ImageItem(encoded(scene()))
    async with AsyncExitStack() as stack:
        embedder = await opened(model, served.url, stack, in_flight=1, timeout_seconds=1.0)
        before = await vectors(embedder, item)

        served.server.pause()
        try:
            (answer,) = await embedder.embed([item], Deadline.after(20))
            assert isinstance(answer, ReplicaDown), "a request has a time of its own"
            with pytest.raises(OutOfTime):
                await embedder.embed([item, item, item], Deadline.after(0.3))
        finally:
            served.server.resume()
        assert np.array_equal(await vectors(embedder, item), before)

        assert await embedder.ready()
        await asyncio.to_thread(served.server.kill)
        assert not await embedder.ready()
        (answer,) = await embedder.embed([item], Deadline.after(20))
        assert isinstance(answer, ReplicaDown)
        await asyncio.to_thread(served.server.restart)
        until = Deadline.after(30)
        while True:
            (answer,) = await embedder.embed([item], until)
            if isinstance(answer, EmbeddedItem):
                break
            assert isinstance(answer, ReplicaDown)
        assert np.array_equal(answer.vectors, before)


def test_a_damaged_tower_is_never_served(model: Model, served: Triton, tmp_path: Path) -> None:
    (image, _text) = write_repository(model, tmp_path, Serving(platform="python"))
    (image / "1" / "image.onnx").write_bytes(image_tower(8, 5, seed=9))
    assert served.server.running()  # one of our own, so that another can be started
    with pytest.raises(RuntimeError, match="failed to load all models"), triton(tmp_path):
        pass


def test_the_wire_of_the_configuration_is_tritons(model: Model) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    from services.egs.triton.repository import config_pbtxt

    for platform in ("onnxruntime", "tensorrt", "python"):
        config = model_config_pb2.ModelConfig()
        serving = Serving(platform=platform, max_batch=8)
        text_format.Parse(config_pbtxt(model.manifest, "text", serving, "0" * 64), config)
        assert config.name == f"{model.manifest.space().id}-text"
        assert config.backend == ("python" if platform == "python" else "onnxruntime")
        assert (config.max_batch_size, list(config.input[0].dims), list(config.output[0].dims)) == (8, [4], [5])
        assert config.input[0].data_type == model_config_pb2.TYPE_INT64
        image = model_config_pb2.ModelConfig()
        text_format.Parse(config_pbtxt(model.manifest, "image", serving, "0" * 64), image)
        takes = (image.input[0].data_type, list(image.input[0].dims))
        pixels, floats = (model_config_pb2.TYPE_UINT8, [8, 8, 3]), (model_config_pb2.TYPE_FP32, [3, 8, 8])
        assert takes == (pixels if platform == "python" else floats)
        assert config.dynamic_batching.priority_levels == len(Urgency)
        assert config.parameters["omma_signature"].string_value == model.manifest.signature()
        on_gpu = config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
        assert on_gpu == (platform != "python")
        accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
        assert [one.name for one in accelerators] == (["tensorrt"] if platform == "tensorrt" else [])
        assert [one.parameters["precision_mode"] for one in accelerators] == ["FP16"] * len(accelerators)

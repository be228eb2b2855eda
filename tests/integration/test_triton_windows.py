"""Windows of the shipped model on a real Triton: the vectors of ONNX Runtime in process, and who has none."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from deploy.parts.triton import Triton, triton
from omma.errors import WrongState
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.egs.embedder import ModelEmbedder, OnnxEmbedder
from services.egs.registry import Model, load_model, register
from services.egs.settings import EgsSettings
from services.egs.triton.naming import triton_name
from services.egs.triton.open import open_triton_embedder
from services.egs.triton.repository import Serving, write_repository
from services.egs.triton.settings import TritonSettings
from tests.part_fixtures import started
from tests.pictures import encoded, scene

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = "omma-mini@1.3.0"
PICTURES = [
    encoded(scene(width, height, seed)) for seed, (width, height) in enumerate([(350, 140), (90, 400), (64, 64)])
]


def named(root: Path, name: str) -> Model:
    """The shipped image tower with its windows, as a model of another name."""
    shipped = load_model(MODELS, SHIPPED)
    said = shipped.manifest
    assert said.windows is not None
    files = {file: said.files[file] for file in (said.image.file, said.windows.file)}
    only = {"name": name, "text": None, "trained_on": None, "documents": (), "files": files}
    return register(root, said.model_copy(update=only), {file: shipped.path(file) for file in files})


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """On Triton it was rendered before it had windows."""
    return named(tmp_path_factory.mktemp("before"), "before")


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """On Triton it has the windows of another patch."""
    return named(tmp_path_factory.mktemp("moved"), "moved")


@pytest.fixture(scope="module")
def served(before: Model, moved: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    repository = tmp_path_factory.mktemp("repository")
    for model in (load_model(MODELS, SHIPPED), before, moved):
        write_repository(model, repository, Serving(platform="python", max_batch=4))
    shutil.rmtree(repository / triton_name(before.manifest, "windows"))
    config = repository / triton_name(moved.manifest, "windows") / "config.pbtxt"
    config.write_text(config.read_text().replace(moved.manifest.files["windows.onnx"], "0" * 64))
    yield from started(lambda: triton(repository))


@pytest.fixture
async def here() -> AsyncIterator[ModelEmbedder]:
    made = await asyncio.to_thread(OnnxEmbedder, load_model(MODELS, SHIPPED), EgsSettings())
    yield made
    await made.close()


async def opened(model: Model, served: Triton, stack: AsyncExitStack) -> ModelEmbedder:
    return await open_triton_embedder(model, EgsSettings(), TritonSettings(url=served.url), stack)


async def embedded(embedder: ModelEmbedder, *, windows: bool) -> list[EmbeddedItem]:
    answers = await embedder.embed([ImageItem(one, windows=windows) for one in PICTURES], Deadline.after(60))
    assert not [one for one in answers if isinstance(one, Exception)], answers
    return [one for one in answers if isinstance(one, EmbeddedItem)]


async def test_they_are_what_they_are_in_process_and_the_whole_is_the_same(here: ModelEmbedder, served: Triton) -> None:
    async with AsyncExitStack() as stack:
        there = await opened(load_model(MODELS, SHIPPED), served, stack)
        assert there.windows == here.windows == 16
        plain = await embedded(there, windows=False)
        for ours, theirs, whole in zip(
            await embedded(here, windows=True), await embedded(there, windows=True), plain, strict=True
        ):
            assert theirs.vectors.shape == (17, 512)
            assert (1 - (ours.vectors * theirs.vectors).sum(axis=1)).max() < 1e-5
            assert np.allclose(theirs.vectors[0], whole.vectors[0], atol=1e-6)
            assert np.array_equal(ours.boxes, theirs.boxes)


@pytest.mark.parametrize("name", ["before", "moved"])
async def test_a_repository_without_this_entrys_windows_serves_all_else(
    name: str, served: Triton, request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(name)
    async with AsyncExitStack() as stack:
        embedder = await opened(model, served, stack)
        assert embedder.windows == 0
        assert [one.vectors.shape for one in await embedded(embedder, windows=False)] == [(1, 512)] * len(PICTURES)
        (refused,) = await embedder.embed([ImageItem(PICTURES[0], windows=True)], Deadline.after(60))
        assert isinstance(refused, WrongState)
        assert refused.field == "windows"


def test_on_gpus_the_graph_is_one_file_with_both_outputs(tmp_path: Path) -> None:
    model = load_model(MODELS, SHIPPED)
    folder = write_repository(model, tmp_path, Serving())[-1]
    assert folder.name == triton_name(model.manifest, "windows")
    session = ort.InferenceSession(folder / "1" / "windows.onnx", providers=["CPUExecutionProvider"])
    assert {one.name: one.shape[1:] for one in session.get_outputs()} == {"vector": [512], "windows": [16, 512]}
    config = (folder / "config.pbtxt").read_text()
    assert 'default_model_filename: "windows.onnx"' in config
    assert 'output { name: "windows" data_type: TYPE_FP32 dims: [16, 512] }' in config


def test_what_is_joined_is_told_by_its_own_checksum(tmp_path: Path) -> None:
    model = load_model(MODELS, SHIPPED)
    folder = write_repository(model, tmp_path, Serving(platform="python"))[-1]
    written = (folder / "1" / "windows.onnx").read_bytes()
    assert written == model.path("image.onnx").read_bytes() + model.path("windows.onnx").read_bytes()
    assert hashlib.sha256(written).hexdigest() in (folder / "config.pbtxt").read_text()

"""Windows of the shipped model: behind the same whole, unit vectors with boxes of their own; and who may ask."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omma.errors import InvalidQuery, WrongState
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.egs.embedder import OnnxEmbedder
from services.egs.manifest import Manifest, WindowsOutput
from services.egs.registry import load_model, register
from services.egs.settings import EgsSettings
from services.standalone.models import stored_with
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

MODELS = Path(__file__).parents[2] / "models"
WIDTH, HEIGHT = 350, 140


@pytest.fixture
async def embedder() -> AsyncIterator[OnnxEmbedder]:
    made = OnnxEmbedder(load_model(MODELS, "omma-mini"), EgsSettings())
    yield made
    await made.close()


async def answer(embedder: OnnxEmbedder, item: ImageItem) -> EmbeddedItem | Exception:
    return (await embedder.embed([item], Deadline.after(60)))[0]


async def test_sixteen_windows_stand_behind_the_whole_which_is_the_same(embedder: OnnxEmbedder) -> None:
    item = ImageItem(encoded(scene(WIDTH, HEIGHT)))
    whole, parts = await answer(embedder, item), await answer(embedder, replace(item, windows=True))
    assert isinstance(whole, EmbeddedItem) and isinstance(parts, EmbeddedItem)
    assert (embedder.windows, parts.vectors.shape, parts.boxes.shape) == (16, (17, 512), (17, 4))
    assert np.array_equal(parts.vectors[0], whole.vectors[0])
    assert np.allclose(np.linalg.norm(parts.vectors, axis=1), 1, atol=1e-6)
    assert parts.boxes[[0, 1, 2, 16]].tolist() == [
        [0, 0, WIDTH, HEIGHT],
        [0, 0, 200, 80],
        [50, 0, 250, 80],
        [150, 60, WIDTH, HEIGHT],
    ]


async def test_boxes_and_windows_together_are_refused(embedder: OnnxEmbedder) -> None:
    item = ImageItem(encoded(scene()), fractions=((0.0, 0.0, 0.5, 0.5),), windows=True)
    refused = await answer(embedder, item)
    assert isinstance(refused, InvalidQuery) and refused.field == "bbox"


async def test_a_model_without_windows_says_so() -> None:
    embedder = OnnxEmbedder(load_model(MODELS, "omma-mini@1.1.0"), EgsSettings())
    refused = await answer(embedder, ImageItem(encoded(scene()), windows=True))
    await embedder.close()
    assert embedder.windows == 0
    assert isinstance(refused, WrongState) and "omma-mini@1.1.0" in refused.detail


def test_a_patch_serves_what_the_version_before_it_embedded(tmp_path: Path) -> None:
    """1.2.0 is 1.2.1 without windows: the same towers, the same space."""
    now = load_model(MODELS, "omma-mini@1.2.1")
    said = now.manifest
    before = without_windows(said)
    old = register(tmp_path / "elsewhere", before, {file: now.path(file) for file in before.files})
    assert old.manifest.space() == said.space() and old.manifest.space().model == "omma-mini@1.2.0"
    settings = StandaloneSettings(data_dir=tmp_path / "data")
    assert stored_with(settings, old.manifest.space()).manifest == said


def without_windows(said: Manifest) -> Manifest:
    assert said.windows is not None
    files = {file: sha256 for file, sha256 in said.files.items() if file != said.windows.file}
    return said.model_copy(update={"version": "1.2.0", "files": files, "windows": None})


@pytest.mark.parametrize(("grid", "window"), [(4, 4), (64, 1)])
def test_windows_are_smaller_than_the_picture_and_bounded(grid: int, window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        WindowsOutput(file="windows.onnx", output="windows", grid=grid, window=window)

"""A folder that omma-mini 1.2.0 embedded goes on with 1.2.1, which takes its place: nothing is embedded again."""

import io
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from random import Random

import httpx
import pytest
from PIL import Image

from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.egs.embedder import OnnxEmbedder
from services.egs.registry import load_model, register
from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import samples
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.e2e.rolling import ok

MODELS = Path(__file__).parents[2] / "models"
OLD, NEW = "omma-mini@1.2.0", "omma-mini@1.2.1"
SOME = list(islice(samples(), 0, None, 60))
DRAWN = [one.draw(Random(one.seed), COLOURS[one.colour]).finished() for one in SOME]


def register_before(models: Path) -> None:
    """1.2.0 as it was: the files of 1.2.1 but for its windows, and what else is no tower."""
    shipped = load_model(MODELS, NEW)
    kept = ("image.onnx", "text.onnx", "tokenizer.json")
    files = {file: shipped.manifest.files[file] for file in kept}
    said = {"version": "1.2.0", "windows": None, "trained_on": None, "documents": (), "files": files}
    register(models, shipped.manifest.model_copy(update=said), {file: shipped.path(file) for file in kept})


@asynccontextmanager
async def up(folder: Path, model: str = "", regions: str = "none") -> AsyncIterator[httpx.AsyncClient]:
    options = StandaloneSettings(
        data_dir=folder / "data",
        http_port=0,
        grpc_port=0,
        model=model,
        egs={"models_dir": folder / "models"},
        indexer={"regions": regions},
    )
    async with serving(options) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=120) as client:
        yield client


def packed(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


async def upload(client: httpx.AsyncClient, picture: Image.Image, name: str) -> str:
    files, told = {"image": packed(picture)}, {"external_id": name}
    return str((await ok(client.post("/images", files=files, data=told)))["receipt"])


@pytest.mark.parametrize("model", ["", NEW])
async def test_every_picture_is_found_as_before_and_none_was_embedded_again(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_before(tmp_path / "models")
    asked = {"k": 50, "near_duplicates": "keep", "exact": True, "timeout_ms": 60_000}
    async with up(tmp_path, OLD) as client:
        receipts = [await upload(client, picture, f"p{number}") for number, picture in enumerate(DRAWN)]
        first = await ok(client.post("/search", json={**asked, "image_id": 1, "receipts": receipts}))
        assert (await ok(client.get("/stats")))["model"]["name"] == OLD
    shutil.rmtree(tmp_path / "models")
    embedded: list[int] = []
    embed = OnnxEmbedder.embed

    async def counted(
        self: OnnxEmbedder, items: Sequence[ImageItem | TextItem], deadline: Deadline
    ) -> list[EmbeddedItem | Exception]:
        embedded.append(len(items))
        return await embed(self, items, deadline)

    monkeypatch.setattr(OnnxEmbedder, "embed", counted)
    async with up(tmp_path, model) as client:
        again = await ok(client.post("/search", json={**asked, "image_id": 1, "receipts": receipts}))
        assert (again["space"], again["index"], again["results"]) == (first["space"], first["index"], first["results"])
        assert len(again["results"]) == len(DRAWN) - 1
        assert embedded == []
        by_words = await ok(client.post("/search", json={**asked, "text": SOME[0].caption}))
        assert by_words["results"][0]["id"] == 1 and embedded == [1], "what is asked is embedded, by the new one"
        assert (await ok(client.get("/rollouts")))["rollouts"] == []
        assert (await ok(client.get("/stats")))["model"]["name"] == NEW


async def test_with_windows_set_what_comes_anew_has_them_beside_wholes_of_before(tmp_path: Path) -> None:
    register_before(tmp_path / "models")
    async with up(tmp_path, OLD) as client:
        receipts = [await upload(client, picture, f"p{number}") for number, picture in enumerate(DRAWN[1:])]
        await ok(client.post("/search", json={"image_id": 1, "receipts": receipts, "timeout_ms": 60_000}))
    shutil.rmtree(tmp_path / "models")
    async with up(tmp_path, regions="windows") as client:
        receipt = await upload(client, DRAWN[0], "new")
        width, height = DRAWN[0].size
        part = DRAWN[0].crop((0, 0, width * 4 // 7, height * 4 // 7))
        fields = {"use_crops": "true", "receipts": receipt, "timeout_ms": "60000", "near_duplicates": "keep"}
        found = await ok(client.post("/search", files={"image": packed(part)}, data=fields))
        boxes = {tuple(hit["bbox"]) for hit in found["results"][1:]}
        assert found["results"][0]["bbox"] == [0, 0, round(width * 4 / 7), round(height * 4 / 7)]
        assert boxes == {(0, 0, width, height)}, "wholes of before are found as they were"
        assert found["degraded"] == []

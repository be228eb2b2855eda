"""Regions: a part of a picture finds its whole by the part that it is most like, and whole pictures find as before."""

import io
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import scene

WIDTH, HEIGHT = 320, 200
BOX = (0, 0, int(0.6 * WIDTH), int(0.6 * HEIGHT))


async def served(folder: Path, regions: str) -> list[dict[str, Any]]:
    """Answers to a corner of the first of six pictures, with and without regions, and to the whole of it."""
    settings = StandaloneSettings(data_dir=folder, http_port=0, grpc_port=0, indexer={"regions": regions})
    pictures = [scene(WIDTH, HEIGHT, seed) for seed in range(6)]
    async with serving(settings) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=60) as rest:
        receipts = []
        for picture in pictures:
            uploaded = await rest.post("/images", files={"image": png(picture)})
            assert uploaded.is_success, uploaded.text
            receipts.append(uploaded.json()["receipt"])
        asked = [(pictures[0].crop(BOX), True), (pictures[0].crop(BOX), False), (pictures[0], True)]
        answers = []
        for picture, use_crops in asked:
            data = {"use_crops": str(use_crops).lower(), "receipts": receipts, "timeout_ms": 20_000, "k": 6}
            answer = await rest.post("/search", files={"image": png(picture)}, data=data)
            assert answer.status_code == 200, answer.text
            answers.append(answer.json())
        return answers


def png(picture: Image.Image) -> bytes:
    packed = io.BytesIO()
    picture.save(packed, "PNG")
    return packed.getvalue()


async def test_a_part_finds_its_whole_and_says_where_it_lies(tmp_path: Path) -> None:
    by_part, by_whole, whole = await served(tmp_path, "crops")
    best = by_part["results"][0]
    assert tuple(best["bbox"]) == BOX
    assert best["score"] > 0.98
    of_same = next(hit for hit in by_whole["results"] if hit["id"] == best["id"])
    assert of_same["score"] < best["score"] and "bbox" not in of_same
    assert (whole["results"][0]["id"], whole["results"][0]["bbox"]) == (best["id"], [0, 0, WIDTH, HEIGHT])
    assert len(by_part["results"]) == len(by_whole["results"]) == 6, "a picture is one hit however many regions it has"


async def test_a_window_says_where_it_lies_and_wholes_are_found_as_without(tmp_path: Path) -> None:
    by_part, by_whole, whole = await served(tmp_path / "windows", "windows")
    _, plain, plain_whole = await served(tmp_path / "none", "none")
    best = by_part["results"][0]
    of_same = next(hit for hit in by_whole["results"] if hit["id"] == best["id"])
    assert of_same["score"] < best["score"] and "bbox" not in of_same
    left, top, right, bottom = best["bbox"]
    assert (right - left, bottom - top) == (round(WIDTH * 4 / 7), round(HEIGHT * 4 / 7))
    assert [hit["score"] for hit in by_whole["results"]] == [hit["score"] for hit in plain["results"]]
    assert (whole["results"][0]["id"], whole["results"][0]["bbox"]) == (
        plain_whole["results"][0]["id"],
        [0, 0, WIDTH, HEIGHT],
    )


async def test_without_regions_every_picture_is_its_whole(tmp_path: Path) -> None:
    by_part, by_whole, _ = await served(tmp_path, "none")
    assert [hit["score"] for hit in by_part["results"]] == [hit["score"] for hit in by_whole["results"]]
    assert {tuple(hit["bbox"]) for hit in by_part["results"]} == {(0, 0, WIDTH, HEIGHT)}

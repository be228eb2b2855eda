"""Copies on a running Omma: told in groups, folded by searches, and told otherwise by people."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image, ImageOps

from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene
from training.near_duplicates.edits import EDITS

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAMP, CHAIR = scene(640, 480, seed=1), scene(640, 480, seed=2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    settings = StandaloneSettings(data_dir=tmp_path_factory.mktemp("copies") / "data", http_port=0, grpc_port=0)
    async with serving(settings) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=60) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(rest: httpx.AsyncClient) -> dict[str, int]:
    """By name, all searchable."""
    pictures: dict[str, Image.Image] = {
        "lamp": EDITS["half size"](LAMP),
        "large": LAMP,
        "mirrored": ImageOps.mirror(EDITS["JPEG q50"](LAMP)),
        "chair": CHAIR,
    }
    answers = {
        name: (await rest.post("/images", files={"image": encoded(one)})).json() for name, one in pictures.items()
    }
    receipts = [one["receipt"] for one in answers.values()]
    body = {"image_id": answers["lamp"]["id"], "receipts": receipts, "timeout_ms": 50_000}
    assert (await rest.post("/search", json=body)).json()["degraded"] == []
    return {name: one["id"] for name, one in answers.items()}


async def groups(rest: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params: dict[str, str] = {}
    while True:
        page = (await rest.get("/duplicates", params=params)).raise_for_status().json()
        found += page["groups"]
        if "next_cursor" not in page:
            return found
        params = {"cursor": page["next_cursor"]}


async def shown(rest: httpx.AsyncClient, **options: Any) -> tuple[set[frozenset[int]], dict[str, Any]]:
    """What a search for the lamp's picture shows as groups, and its explanation."""
    body = {"explain": "true", "timeout_ms": 50_000, **options}
    answer = (await rest.post("/search", files={"image": encoded(LAMP)}, data=body)).raise_for_status().json()
    hits = answer["results"]
    return {frozenset([hit["id"], *(one["id"] for one in hit.get("duplicates", ()))]) for hit in hits}, answer[
        "explain"
    ]


async def judged(rest: httpx.AsyncClient, verdict: str, keep: int, *others: int) -> int:
    return (await rest.post(f"/duplicates/{verdict}", json={"keep": keep, "ids": others})).status_code


async def test_groups_are_told_and_people_have_the_last_word(rest: httpx.AsyncClient, ids: dict[str, int]) -> None:
    lamps = frozenset({ids["lamp"], ids["large"], ids["mirrored"]})
    chair = frozenset({ids["chair"]})
    (group,) = await groups(rest)
    assert (set(group["ids"]), group["keep"], len(group["distances"])) == (lamps, ids["large"], 3)
    seen, told = await shown(rest)
    assert seen == {lamps, chair}
    assert {one["rule"] for one in told["folded"]} == {"signature"}

    assert await judged(rest, "split", ids["mirrored"], ids["lamp"], ids["large"]) == 204
    apart = frozenset({ids["mirrored"]})
    assert (await shown(rest))[0] == {lamps - apart, apart, chair}
    assert [set(one["ids"]) for one in await groups(rest)] == [lamps - apart]

    assert await judged(rest, "merge", ids["mirrored"], ids["chair"]) == 204
    seen, told = await shown(rest)
    assert seen == {lamps - apart, apart | chair}
    assert "merged" in {one["rule"] for one in told["folded"]}
    assert {frozenset(one["ids"]) for one in await groups(rest)} == {lamps - apart, apart | chair}

    assert await judged(rest, "split", ids["chair"], ids["mirrored"]) == 204
    assert await judged(rest, "merge", ids["mirrored"], ids["lamp"], ids["large"]) == 204
    assert (await shown(rest))[0] == {lamps, chair}


async def test_what_cannot_be_judged_is_refused(rest: httpx.AsyncClient, ids: dict[str, int]) -> None:
    lamp = ids["lamp"]
    for body, status in (
        ({"keep": lamp, "ids": [lamp]}, 422),
        ({"keep": lamp, "ids": []}, 422),
        ({"keep": lamp, "ids": [10**12]}, 404),
        ({"keep": lamp, "ids": [1.5]}, 422),
        ({"keep": lamp, "ids": [ids["chair"]], "why": 1}, 422),
    ):
        answer = await rest.post("/duplicates/split", json=body)
        assert answer.status_code == status, (body, answer.text)
    assert (await rest.get("/duplicates", params={"cursor": "no cursor"})).status_code == 422


async def test_the_best_of_copies_is_kept_and_not_the_largest(rest: httpx.AsyncClient) -> None:
    sharp = scene(960, 720, seed=11)
    small = sharp.resize((160, 120), Image.Resampling.BOX)
    enlarged = small.resize((1280, 960), Image.Resampling.BICUBIC)
    best, blurred, again = [
        (await rest.post("/images", files={"image": encoded(one)}, data={"external_id": name})).json()
        for name, one in (("sharp", sharp), ("enlarged", enlarged), ("again", enlarged))
    ]
    receipts = [one["receipt"] for one in (best, blurred, again)]
    there = {"image_id": best["id"], "receipts": receipts, "timeout_ms": 50_000}
    assert (await rest.post("/search", json=there)).json()["degraded"] == []
    rows = [(await rest.get(f"/images/{one['id']}")).json() for one in (best, blurred, again)]
    assert rows[0]["quality_score"] > rows[1]["quality_score"] > 0
    assert rows[0]["quality"]["sharpness"] > 2 * rows[1]["quality"]["sharpness"]
    assert rows[0]["quality"]["size"] < rows[1]["quality"]["size"]
    assert rows[2]["quality"] == rows[1]["quality"], "bytes that were embedded before"
    (group,) = [one for one in await groups(rest) if best["id"] in one["ids"]]
    assert set(group["ids"]) == {row["id"] for row in rows} and group["keep"] == best["id"]

"""Copies that no signature tells, on a running Omma: the worker looks, searches fold them and say why, people win."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from services.worker.settings import WorkerSettings
from tests.pictures import encoded, scene
from tests.waiting import eventually
from training.near_duplicates.edits import EDITS

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAMP, CHAIR = scene(640, 480, seed=1), scene(640, 480, seed=2)
COPIES = {
    "lamp": LAMP,
    "crop": LAMP.crop((83, 10, 627, 422)),
    "turned": LAMP.rotate(-6, Image.Resampling.BICUBIC),
    "logo": EDITS["logo"](LAMP),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    home = tmp_path_factory.mktemp("looked-at")
    worker = WorkerSettings(copies_seconds=0.2)
    settings = StandaloneSettings(data_dir=home / "data", http_port=0, grpc_port=0, worker=worker)
    async with serving(settings) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=60) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(rest: httpx.AsyncClient) -> dict[str, int]:
    pictures = {**COPIES, "chair": CHAIR}
    made = {name: (await rest.post("/images", files={"image": encoded(one)})).json() for name, one in pictures.items()}
    return {name: one["id"] for name, one in made.items()}


async def shown(rest: httpx.AsyncClient) -> tuple[set[frozenset[int]], list[dict[str, Any]]]:
    """Groups as a search shows them, and what was folded."""
    sent = {"explain": "true", "timeout_ms": "20000"}
    answer = await rest.post("/search", files={"image": encoded(LAMP)}, data=sent)
    told = answer.raise_for_status().json()
    groups = {frozenset([hit["id"], *(one["id"] for one in hit.get("duplicates", ()))]) for hit in told["results"]}
    return groups, told["explain"]["folded"]


async def grouped(rest: httpx.AsyncClient, *groups: set[int]) -> list[dict[str, Any]]:
    """The hits, once they are these groups."""
    expected = set(map(frozenset, groups))

    async def looked() -> list[dict[str, Any]] | None:
        found, folded = await shown(rest)
        return folded if found == expected else None

    return await eventually(looked, 100) or []


async def test_what_was_looked_at_is_folded_and_told_until_people_say_otherwise(
    rest: httpx.AsyncClient, ids: dict[str, int]
) -> None:
    copies, chair = {ids[name] for name in COPIES}, {ids["chair"]}
    folded = await grouped(rest, copies, chair)
    assert {"look:crop", "look:turned"} & {one["rule"] for one in folded}
    page = (await rest.get("/duplicates")).json()
    assert [set(group["ids"]) for group in page["groups"]] == [copies]

    crop = ids["crop"]
    body = {"keep": crop, "ids": [ids["lamp"], ids["turned"], ids["logo"]]}
    assert (await rest.post("/duplicates/split", json=body)).status_code == 204
    assert frozenset({crop}) in (await shown(rest))[0], "at once"
    await grouped(rest, copies - {crop}, {crop}, chair)
    assert (await rest.post("/duplicates/merge", json=body)).status_code == 204
    await grouped(rest, copies, chair)


async def test_groups_follow_what_is_deleted_restored_and_erased(rest: httpx.AsyncClient, ids: dict[str, int]) -> None:
    copies, chair = {ids[name] for name in COPIES}, {ids["chair"]}
    await grouped(rest, copies, chair)
    turned = ids["turned"]
    assert (await rest.delete(f"/images/{turned}")).status_code == 204
    await grouped(rest, copies - {turned}, chair)
    assert (await rest.post(f"/images/{turned}/restore")).status_code == 200
    await grouped(rest, copies, chair)
    assert (await rest.post("/erase", json={"ids": [turned]})).status_code == 202
    await grouped(rest, copies - {turned}, chair)


async def test_a_pair_is_folded_and_parts_when_one_of_it_becomes_another(rest: httpx.AsyncClient) -> None:
    door = scene(640, 480, seed=5)
    pair = {"door": door, "ajar": door.rotate(-6, Image.Resampling.BICUBIC)}
    ids = [await named(rest, name, picture) for name, picture in pair.items()]
    await until_together(rest, door, ids, together=True)
    assert set(ids) in [set(group["ids"]) for group in (await rest.get("/duplicates")).json()["groups"]]
    assert await named(rest, "ajar", scene(640, 480, seed=4)) == ids[1], "other bytes under its key"
    await until_together(rest, door, ids, together=False)
    assert not [group for group in (await rest.get("/duplicates")).json()["groups"] if ids[1] in group["ids"]]


async def named(rest: httpx.AsyncClient, name: str, picture: Image.Image) -> int:
    answer = await rest.post("/images", files={"image": encoded(picture)}, data={"external_id": name})
    told = answer.raise_for_status().json()
    seen = {"k": 1, "image_id": told["id"], "receipts": [told["receipt"]], "timeout_ms": 60_000}
    (await rest.post("/search", json=seen)).raise_for_status()
    return int(told["id"])


async def until_together(rest: httpx.AsyncClient, picture: Image.Image, ids: list[int], *, together: bool) -> None:
    async def so() -> bool:
        sent = {"timeout_ms": "20000", "k": "50"}
        answer = (await rest.post("/search", files={"image": encoded(picture)}, data=sent)).raise_for_status().json()
        groups = [{hit["id"], *(one["id"] for one in hit.get("duplicates", ()))} for hit in answer["results"]]
        return any(set(ids) <= group for group in groups) is together

    await eventually(so, 100)

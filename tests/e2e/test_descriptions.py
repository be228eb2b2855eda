"""The same bad descriptions at every entrance: told to whoever can be told, passed over where nobody can be asked."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from omma.client import AsyncClient
from omma.errors import OmmaError
from omma.v1 import search_pb2
from tests.e2e.bad_input import Server, server  # noqa: F401  the fixture
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALF = "half \ud83d"
BAD: dict[str, tuple[str, Any]] = {
    "half of a pair in a tag": ("tags", ["good", HALF]),
    "NUL in a tag": ("tags", ["a\0b"]),
    "a tag of 5,000 characters": ("tags", ["x" * 5_000]),
    "3,000 tags": ("tags", [str(number) for number in range(3_000)]),
    "half of a pair in a caption": ("attributes", {"caption": HALF}),
    "NUL in a caption": ("attributes", {"caption": "a\0b"}),
    "a caption of 2 MB": ("attributes", {"caption": "y" * 900_000}),
    "a nested attribute": ("attributes", {"exif": {"iso": 100}}),
    "a number without room": ("attributes", {"n": 2**63}),
    "no number": ("attributes", {"n": float("nan")}),
    "infinity": ("attributes", {"n": 1e999}),
    "a long name": ("attributes", {"n" * 200: 1}),
    "a name of nothing": ("attributes", {"": 1}),
}
CONTENT = encoded(scene(64, 48, seed=77))


@pytest.mark.parametrize("name", BAD)
async def test_rest(server: Server, name: str) -> None:  # noqa: F811
    field, value = BAD[name]
    form = {field: json.dumps(value)}
    made = await server.rest.post("/images", files={"image": ("a.png", CONTENT)}, data=form)
    body = json.dumps({field: value})
    patched = await server.rest.patch("/images/1", content=body, headers={"Content-Type": "application/json"})
    for answer in (made, patched):
        assert answer.status_code in (413, 422), answer.text
        assert answer.json()["kind"] in ("invalid_query", "too_large")
        assert answer.json().get("field") in (field, None), "NaN and infinity are no JSON"


@pytest.mark.parametrize(
    "name", [name for name in BAD if BAD[name][0] == "attributes"] + ["NUL in a tag", "3,000 tags"]
)
async def test_grpc(server: Server, name: str) -> None:  # noqa: F811
    field, value = BAD[name]
    given = {"tags": value} if field == "tags" else {"attributes_json": json.dumps(value).encode()}
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.rpc.Upsert(search_pb2.UpsertRequest(image=CONTENT, **given), timeout=30)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", BAD)
async def test_sdk(server: Server, name: str) -> None:  # noqa: F811
    field, value = BAD[name]
    async with AsyncClient(str(server.rest.base_url)) as client:
        with pytest.raises((OmmaError, ValueError)):
            await client.upload(CONTENT, **{field: value})
        with pytest.raises((OmmaError, ValueError)):
            await client.patch(1, **{field: value})


async def test_a_tag_may_hold_a_comma_at_every_entrance(server: Server) -> None:  # noqa: F811
    async with AsyncClient(str(server.rest.base_url)) as client:
        one = await client.upload(encoded(scene(64, 48, seed=78)), tags=["red, dark", "shoe"])
    form = {"tags": '["red, dark", "shoe"]'}
    picture = ("a.png", encoded(scene(64, 48, seed=79)))
    two = (await server.rest.post("/images", files={"image": picture}, data=form)).json()
    three = await server.rpc.Upsert(
        search_pb2.UpsertRequest(image=encoded(scene(64, 48, seed=80)), tags=["red, dark", "shoe"]), timeout=30
    )
    for image_id in (one.id, two["id"], three.id):
        assert (await server.rest.get(f"/images/{image_id}")).json()["tags"] == ["red, dark", "shoe"]


async def test_captions_json(server: Server, tmp_path: Path) -> None:  # noqa: F811
    captions = {}
    for number, (name, (field, value)) in enumerate(BAD.items()):
        (tmp_path / f"{number}.png").write_bytes(encoded(scene(64, 48, seed=200 + number)))
        captions[f"{number}.png"] = {"title": name, **({"tags": value} if field == "tags" else value)}
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    started = await server.rest.post("/images/ingest", json={"folder": str(tmp_path)})
    while (job := (await server.rest.get(f"/jobs/{started.json()['job_id']}")).json())["state"] in (
        "waiting",
        "running",
    ):
        pass
    assert job["state"] == "done", job
    rows = [
        row for row in (await server.rest.get("/images?limit=1000")).json()["images"] if tmp_path.name in row["uri"]
    ]
    assert len(rows) == len(BAD) and {row["state"] for row in rows} == {"indexed"}
    for row in rows:
        name = list(BAD)[int(row["uri"].rsplit("/", 1)[1].removesuffix(".png"))]
        assert row["attributes"] == {"title": name}, "what is right of it is taken"
        assert row["tags"] == (["good"] if name == "half of a pair in a tag" else [])

"""A tenant's quota holds at every way in: nothing of what it refuses is kept."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
import pytest_asyncio

from omma.catalog.quota import OTHERS
from omma.identity import DEFAULT_TENANT
from omma.v1 import search_pb2, search_pb2_grpc
from services.standalone.app import Omma
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SECONDS: Final = 60.0


@dataclass
class Full:
    """A server whose one tenant keeps as much as it may."""

    omma: Omma
    rest: httpx.AsyncClient
    channel: grpc.aio.Channel
    folder: Path

    def originals(self) -> set[str]:
        blobs = self.folder / "data" / "blobs"
        return {str(file) for file in blobs.rglob("*") if file.is_file() and "thumbnails" not in file.parts}

    async def job(self, answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 202, answer.text
        while True:
            told = (await self.rest.get(f"/jobs/{answer.json()['job_id']}")).json()
            if told["state"] not in ("waiting", "running"):
                assert told["state"] == "done", told
                return told  # type: ignore[no-any-return]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Full]:
    folder = tmp_path_factory.mktemp("quotas")
    settings = StandaloneSettings(data_dir=folder / "data", http_port=0, grpc_port=0)
    async with (
        serving(settings) as (omma, address),
        httpx.AsyncClient(base_url=address.url, timeout=_SECONDS, trust_env=False) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        made = await rest.post(
            "/images", files={"image": ("a.png", encoded(scene(seed=1)))}, data={"external_id": "first"}
        )
        assert made.status_code == 201, made.text
        await rest.put("/quotas/*", json={"max_pictures": 1})
        yield Full(omma, rest, channel, folder)


async def upload(full: Full) -> None:
    answer = await full.rest.post("/images", files={"image": ("b.png", encoded(scene(seed=2)))})
    assert (answer.status_code, answer.json()["kind"], answer.json()["limit"]) == (413, "quota_exceeded", 1)


async def upsert(full: Full) -> None:
    stub = search_pb2_grpc.SearchServiceStub(full.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Upsert(search_pb2.UpsertRequest(image=encoded(scene(seed=2))), timeout=_SECONDS)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def presign(full: Full) -> None:
    answer = await full.rest.post("/images/presign", json={"bytes": 100})
    assert (answer.status_code, answer.json()["kind"]) == (413, "quota_exceeded")


async def restore(full: Full) -> None:
    await full.rest.put("/quotas/*", json={"max_pictures": 2})
    made = await full.rest.post("/images", files={"image": ("c.png", encoded(scene(seed=3)))})
    assert (await full.rest.delete(f"/images/{made.json()['id']}")).status_code == 204
    await full.rest.put("/quotas/*", json={"max_pictures": 1})
    answer = await full.rest.post(f"/images/{made.json()['id']}/restore")
    assert (answer.status_code, answer.json()["kind"]) == (413, "quota_exceeded")


async def ingest_folder(full: Full) -> None:
    pictures = full.folder / "pictures"
    pictures.mkdir()
    (pictures / "b.png").write_bytes(encoded(scene(seed=2)))
    told = await full.job(await full.rest.post("/images/ingest", json={"folder": str(pictures)}))
    assert (told["created"], told["unreadable"]) == (0, 1)
    assert "keeps as much as it may" in json.dumps(told["result"])


async def ingest_list(full: Full) -> None:
    picture = full.folder / "listed.png"
    picture.write_bytes(encoded(scene(seed=2)))
    line = json.dumps({"path": str(picture)}).encode()
    told = await full.job(await full.rest.post("/ingest", files={"list": line}))
    assert told["created"] == 0 and told["result"]["failed"] == {"over_quota": 1}


async def ingest_vectors(full: Full) -> None:
    made = (await full.rest.post("/embed/image", files={"image": encoded(scene(seed=2))})).json()
    body = {"space": made["space"], "vectors": [{"id": "given", "vector": made["vector"]}]}
    answer = await full.rest.post("/vectors", json=body)
    assert (answer.status_code, answer.json()["kind"]) == (413, "quota_exceeded")


WAYS: Final[list[Callable[[Full], Awaitable[None]]]] = [
    upload,
    upsert,
    presign,
    restore,
    ingest_folder,
    ingest_list,
    ingest_vectors,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_what_does_not_fit_is_refused_and_nothing_of_it_is_kept(full: Full, way: Any) -> None:
    catalog = full.omma.services.storage.catalog
    before = full.originals() if way is not restore else set()
    await way(full)
    quota = await catalog.quota(DEFAULT_TENANT)
    assert quota is not None and quota.pictures == 1
    assert way is restore or full.originals() == before


async def test_what_is_there_already_may_come_again_and_room_that_is_made_is_room(full: Full) -> None:
    same = {"files": {"image": ("a.png", encoded(scene(seed=1)))}, "data": {"external_id": "first"}}
    again = await full.rest.post("/images", **same)  # type: ignore[arg-type]
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert (await full.rest.delete(f"/images/{again.json()['id']}")).status_code == 204
    made = await full.rest.post("/images", files={"image": ("b.png", encoded(scene(seed=2)))})
    assert made.status_code == 201, made.text
    assert (await full.rest.delete(f"/quotas/{OTHERS}")).status_code == 204
    assert (await full.rest.post("/images", files={"image": ("c.png", encoded(scene(seed=4)))})).status_code == 201

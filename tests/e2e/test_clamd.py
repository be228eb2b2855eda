"""With clamd named, no entrance lets in what it finds; while it is away uploads are refused and ingests wait."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.clamd import EICAR, Scanned, clamd
from tests.pictures import encoded, scene
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)


def picture(seed: int, *, infected: bool = False) -> bytes:
    """What follows a JPEG's end is nobody's."""
    return encoded(scene(64, 48, seed=seed)) + (EICAR if infected else b"")


async def ended(rest: httpx.AsyncClient, job_id: str) -> Any:
    async def looked() -> Any:
        job = (await rest.get(f"/jobs/{job_id}")).json()
        return job if job["state"] not in ("waiting", "running") else None

    return await eventually(looked, 120)


async def test_every_entrance_asks_clamd_first(tmp_path: Path) -> None:
    folder, path = tmp_path / "pictures", str(tmp_path / "clamd")
    folder.mkdir()
    for name, infected in (("good", False), ("bad", True)):
        (folder / f"{name}.jpg").write_bytes(picture(1 + infected, infected=infected))
    settings = StandaloneSettings(
        data_dir=tmp_path / "data", http_port=0, grpc_port=0, clamd={"address": f"unix:{path}"}
    )
    async with serving(settings) as (_, at), httpx.AsyncClient(base_url=at.url, timeout=60) as rest:

        async def upload(content: bytes) -> httpx.Response:
            return await rest.post("/images", files={"image": content})

        assert (await upload(picture(0))).status_code == 503, "nobody can say yet"
        async with clamd(path) as scanned:
            assert (await upload(picture(0))).status_code == 201
            refused = await upload(picture(9, infected=True))
            assert refused.status_code == 422 and "Eicar-Test-Signature" in refused.json()["detail"]
            await presigned(rest, scanned)
            job = await ended(rest, (await rest.post("/images/ingest", json={"folder": str(folder)})).json()["job_id"])
            assert job["state"] == "done", job
            letters = (await rest.get("/dead-letters")).json()["dead_letters"]
            assert ["Eicar" in one["reason"] for one in letters] == [True]
            assert (await rest.get("/images", params={"filter": '{"width": 64}'})).json()["count"] == 3


async def presigned(rest: httpx.AsyncClient, scanned: Scanned) -> None:
    """Both go to an address of their own; the ingest lets in one."""
    names = []
    for content in (picture(4), picture(5, infected=True)):
        given = (await rest.post("/images/presign", json={"bytes": len(content)})).json()
        put = await rest.put(given["url"], content=content, headers=given["headers"])
        assert put.is_success, put.text
        names.append({"upload": given["upload"]})
    job_id = (await rest.post("/images/ingest", json={"uploads": names})).json()["job_id"]
    job = await ended(rest, job_id)
    assert (job["state"], job["created"], job["unreadable"]) == ("done", 1, 1)
    (failed,) = (await rest.get(f"/jobs/{job_id}/downloads", params={"failed": "true"})).json()["downloads"]
    assert failed["outcome"] == "invalid_picture" and "Eicar" in failed["reason"] and len(scanned.seen) >= 4

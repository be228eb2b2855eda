"""Vectors that callers bring: given, found, refused with words, deleted, exported, erased; over a kill -9."""

import base64
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from omma import AsyncClient
from services.standalone.given import requests_of
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.e2e.job_ends import ended
from tests.e2e.process import Folder
from tests.pictures import encoded, scene
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)
ROWS, DIM = 600, 24
REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"space": "nowhere", "vectors": [{"id": "a", "vector": [1] * DIM}]}, 404, "space"),
    ({"vectors": [{"id": "a", "vector": [1] * DIM}]}, 422, "space"),
    ({"space": "products", "vectors": []}, 422, "vectors"),
    ({"space": "products", "vectors": [{"id": "a", "vector": [1] * DIM}, {"id": "b", "vector": [1]}]}, 409, "vectors"),
    ({"space": "products", "vectors": [{"id": "a", "vector": [0] * DIM}]}, 422, "vectors"),
    ({"space": "products", "vectors": [{"id": "a", "vector": [1] * DIM}] * 2}, 422, "id"),
    ({"space": "products", "vectors": [{"id": "picture", "vector": [1] * DIM}]}, 422, "id"),
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """vectors.npy and ids.txt."""
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    (tmp_path / "ids.txt").write_text("\n".join(f"sku-{number}" for number in range(ROWS)))
    return tmp_path / "vectors.npy", tmp_path / "ids.txt"


class Asked:
    """The space of products, asked over REST."""

    def __init__(self, rest: httpx.AsyncClient) -> None:
        self.rest = rest

    async def search(self, **asked: Any) -> list[dict[str, Any]]:
        body = {"near_duplicates": "keep", "exact": True, "timeout_ms": 60_000, **asked}
        answer = await self.rest.post("/search", json=body)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["space"], answer.json()["index"]) == ("products", "products.1")
        return list(answer.json()["results"])

    async def found(self, keys: list[str], **asked: Any) -> list[dict[str, Any]]:
        """The hits, once they are these pictures: a shard reads the log a moment after the indexer wrote it."""

        async def looked() -> list[dict[str, Any]] | None:
            hits = await self.search(k=len(keys), space="products", **asked)
            found = [(await self.rest.get(f"/images/{hit['id']}")).json()["key"] for hit in hits]
            return hits if found == keys else None

        return await eventually(looked, 200) or []

    async def refused(self, path: str, status: int, words: str, **body: Any) -> None:
        answer = await (self.rest.post(path, json=body) if body else self.rest.get(path))
        assert answer.status_code == status and words in answer.json()["detail"], answer.text

    async def ended(self, job_id: str) -> Any:
        async def looked() -> Any:
            job = (await self.rest.get(f"/jobs/{job_id}")).json()
            return job if job["state"] not in ("waiting", "running") else None

        job = await eventually(looked, 200)
        assert job["state"] == "done", job
        return job

    async def given(self, vectors: Path, ids: Path) -> list[dict[str, Any]]:
        """As `omma ingest` gives them."""
        requests = requests_of(vectors, ids, "products", revive_deleted=False)
        return [
            await self.ended((await self.rest.post("/vectors", **request)).json()["job_id"]) for _, request in requests
        ]


async def test_vectors_of_ones_own_are_a_space_beside_the_pictures(tmp_path: Path, files: tuple[Path, Path]) -> None:
    vectors = np.load(files[0])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = StandaloneSettings(data_dir=tmp_path / "data", http_port=0, grpc_port=0)
    async with serving(settings) as (_, at), httpx.AsyncClient(base_url=at.url, timeout=60) as rest:
        asked = Asked(rest)
        picture = (
            await rest.post("/images", files={"image": encoded(scene(64, 48))}, data={"external_id": "picture"})
        ).json()
        made = await rest.post("/spaces", json={"name": "products", "dim": DIM})
        assert made.status_code == 201 and made.json()["indexes"] == ["products.1"]
        assert (await rest.post("/spaces", json={"name": "products", "dim": DIM})).json() == made.json()
        assert (await rest.post("/spaces", json={"name": "products", "dim": 9})).json()["kind"] == "wrong_space"
        for body, status, field in REFUSED:
            for path in ("/vectors", "/ingest"):
                answer = await rest.post(path, json=body)
                assert (answer.status_code, answer.json()["field"]) == (status, field), (body, answer.text)
        assert (await rest.get("/images")).json()["count"] == 1, "what was refused changed nothing"

        (told,) = await asked.given(*files)
        assert (told["total"], told["created"]) == (ROWS, ROWS)
        (again,) = await asked.given(*files)
        assert (again["unchanged"], again["created"]) == (ROWS, 0)

        best = [f"sku-{row}" for row in np.argsort(-(unit @ unit[5]))[:5]]
        hits = await asked.found(best, vector=vectors[5].tolist())
        assert await asked.search(vector=vectors[5].tolist(), index="products.1", k=5) == hits
        first = hits[0]["id"]
        assert (await rest.get(f"/images/{first}")).json()["space"] == "products"
        others = await asked.search(image_id=first, index="products.1", k=4)
        assert [hit["id"] for hit in others] == [hit["id"] for hit in hits[1:]]
        await asked.refused("/search", 409, "no model", text="lamp", index="products.1")
        await asked.refused("/search", 404, "no picture of it", image_id=first, bbox="0,0,9,9", index="products.1")
        for part in ("content", "thumbnail"):
            await asked.refused(f"/images/{first}/{part}", 404, "no picture of it")
        shown = await rest.post("/search", files={"image": encoded(scene(64, 48))}, data={"index": "products.1"})
        assert shown.status_code == 409 and "no model" in shown.json()["detail"]
        live = (await rest.post("/search", json={"image_id": picture["id"], "receipts": [picture["receipt"]]})).json()
        assert (live["results"], live["degraded"]) == ([], []), "pictures and vectors do not meet"

        lamp = {"id": "lamp", "vector": [1.0] * DIM, "tags": ["lamp"], "uri": "https://example.org/lamp.jpg"}
        async with AsyncClient(at.url) as client:
            assert (await asked.ended(await client.add_vectors("products", [lamp])))["created"] == 1
        (found,) = await asked.found(["lamp"], vector=[2.0] * DIM, filter={"tags": "lamp"})
        assert (found["uri"], found["tags"], round(found["score"], 3)) == (lamp["uri"], ["lamp"], 1.0)

        receipt = (await rest.delete(f"/images/{first}")).headers["omma-receipt"]
        left = await asked.search(vector=vectors[5].tolist(), space="products", k=1, receipts=[receipt])
        assert left[0]["id"] == hits[1]["id"]
        erasing = (await rest.post("/erase", json={"external_ids": ["lamp"]})).json()
        await asked.ended(erasing["job_id"])
        with sqlite3.connect(f"file:{tmp_path / 'data' / 'catalog.db'}?mode=ro", uri=True) as catalog:
            assert catalog.execute("SELECT count(*) FROM given_vectors").fetchone() == (ROWS,)
        for index in ("products.1", ""):
            report = (await rest.post("/verify", json={"index": index})).json()
            assert report["clean"] and sum(report["rows"].values()) > 0, report

        page = (await rest.get("/vectors", params={"index": "products.1", "limit": 9})).json()
        assert (page["space"], page["model"], page["dim"]) == ("products", "", DIM)
        (row,) = [one for one in page["images"] if one["key"] == "sku-1"]
        np.testing.assert_allclose(np.frombuffer(base64.b64decode(row["vector"]), "<f4"), unit[1], atol=2e-3)


def test_a_list_that_was_taken_in_survives_a_kill(tmp_path: Path, files: tuple[Path, Path]) -> None:
    folder = Folder(tmp_path / "data")
    with folder.up() as server, server.client() as rest:
        assert rest.post("/spaces", json={"name": "products", "dim": DIM}).status_code == 201
        form = {"vectors": files[0].read_bytes(), "ids": files[1].read_bytes()}
        job = rest.post("/vectors", files=form, data={"space": "products"}).json()["job_id"]
        server.stop(signal.SIGKILL)
    with folder.up() as server, server.client() as rest:
        told = ended(rest, job)
        assert (told["total"], told["created"] + told["unchanged"]) == (ROWS, ROWS), told
        command = ("ingest", str(files[0]), "--ids", str(files[1]), "--space", "products")
        again = folder.json(*command)
        assert (again["vectors"], again["unchanged"], again["created"]) == (ROWS, ROWS, 0)
        asked = {"vector": np.load(files[0])[5].tolist(), "space": "products", "k": 1, "timeout_ms": 60_000}
        until = time.monotonic() + 200
        found: set[str] = set()
        while found != {"sku-5"}:
            assert time.monotonic() < until
            hits = rest.post("/search", json=asked).json()["results"]
            found = {rest.get(f"/images/{hit['id']}").json()["key"] for hit in hits}
        counts = next(one for one in folder.json("doctor") if one["check"] == "counts agree")
        assert counts["ok"] is True, counts

"""Vectors that callers bring: given, found, refused with words, deleted, exported, erased; over a kill -9."""

import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from omma import Client
from tests.e2e.process import Folder
from tests.e2e.test_erasing import ended
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(300)
ROWS, DIM = 2_000, 24
REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"space": "nowhere", "vectors": [{"id": "a", "vector": [1] * DIM}]}, 404, "space"),
    ({"vectors": [{"id": "a", "vector": [1] * DIM}]}, 422, "space"),
    ({"space": "products", "vectors": []}, 422, "vectors"),
    ({"space": "products", "vectors": [{"id": "a", "vector": [1] * DIM}, {"id": "b", "vector": [1]}]}, 409, "vectors"),
    ({"space": "products", "vectors": [{"id": "a", "vector": [0] * DIM}]}, 422, "vectors"),
    ({"space": "products", "vectors": [{"id": "a", "vector": [1] * DIM}] * 2}, 422, "id"),
    ({"space": "products", "vectors": [{"id": "picture", "vector": [1] * DIM}]}, 422, "id"),
)


def search(rest: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    answer = rest.post("/search", json={"near_duplicates": "keep", "exact": True, "timeout_ms": 60_000, **asked})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["space"], document["index"]) == ("products", "products.1")
    return list(document["results"])


def test_vectors_of_ones_own_are_a_space_beside_the_pictures(tmp_path: Path) -> None:
    folder, out = Folder(tmp_path / "data"), tmp_path / "out"
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    (tmp_path / "ids.txt").write_text("\n".join(f"sku-{number}" for number in range(ROWS)))
    with folder.up() as server, server.client() as rest:
        picture = rest.post("/images", files={"image": encoded(scene(64, 48))}, data={"external_id": "picture"}).json()
        made = rest.post("/spaces", json={"name": "products", "dim": DIM})
        assert made.status_code == 201 and made.json()["indexes"] == ["products.1"]
        assert rest.post("/spaces", json={"name": "products", "dim": DIM}).json() == made.json()
        assert rest.post("/spaces", json={"name": "products", "dim": DIM + 1}).json()["kind"] == "wrong_space"
        for body, status, field in REFUSED:
            for path in ("/vectors", "/ingest"):
                answer = rest.post(path, json=body)
                assert (answer.status_code, answer.json()["field"]) == (status, field), (body, answer.text)
        assert rest.get("/images").json()["count"] == 1, "what was refused changed nothing"
        files = {name: (tmp_path / name).read_bytes() for name in ("vectors.npy", "ids.txt")}
        form = {"vectors": files["vectors.npy"], "ids": files["ids.txt"]}
        job = rest.post("/vectors", files=form, data={"space": "products"}).json()["job_id"]
        server.stop(signal.SIGKILL)

    with folder.up() as server, server.client() as rest, Client(server.url) as client:
        told = ended(rest, job)
        assert (told["total"], told["created"] + told["unchanged"]) == (ROWS, ROWS), told
        again = folder.json(
            "ingest", str(tmp_path / "vectors.npy"), "--ids", str(tmp_path / "ids.txt"), "--space", "products"
        )
        assert (again["vectors"], again["unchanged"], again["created"]) == (ROWS, ROWS, 0)

        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        best = np.argsort(-(unit @ unit[5]))[:5]
        hits = search(rest, vector=vectors[5].tolist(), space="products", k=5)
        keys = [rest.get(f"/images/{hit['id']}").json()["key"] for hit in hits]
        assert keys == [f"sku-{row}" for row in best]
        assert search(rest, vector=vectors[5].tolist(), index="products.1", k=5) == hits
        first = hits[0]["id"]
        assert [hit["id"] for hit in search(rest, image_id=first, index="products.1", k=4)] == [
            hit["id"] for hit in hits[1:]
        ]
        for asked, status in (({"text": "lamp"}, 409), ({"image_id": first, "bbox": "0,0,9,9"}, 404)):
            assert rest.post("/search", json={**asked, "index": "products.1"}).status_code == status
        asked_with_a_picture = rest.post(
            "/search", files={"image": encoded(scene(64, 48))}, data={"index": "products.1"}
        )
        assert asked_with_a_picture.status_code == 409 and "no model" in asked_with_a_picture.json()["detail"]
        for part in ("content", "thumbnail"):
            answer = rest.get(f"/images/{first}/{part}")
            assert answer.status_code == 404 and "no picture of it" in answer.json()["detail"]
        live = rest.post("/search", json={"image_id": picture["id"], "k": 50}).json()
        assert live["results"] == [] and live["degraded"] == [], "pictures and vectors do not meet"

        given = client.add_vectors(
            "products", [{"id": "lamp", "vector": [1.0] * DIM, "tags": ["lamp"], "uri": "https://example.org/lamp.jpg"}]
        )
        assert ended(rest, given)["created"] == 1
        (lamp,) = search(rest, vector=[2.0] * DIM, space="products", k=1, filter={"tags": "lamp"})
        assert (lamp["uri"], lamp["tags"], round(lamp["score"], 3)) == ("https://example.org/lamp.jpg", ["lamp"], 1.0)

        receipt = rest.delete(f"/images/{first}").headers["omma-receipt"]
        left = search(rest, vector=vectors[5].tolist(), space="products", k=1, receipts=[receipt])
        assert left[0]["id"] == hits[1]["id"]
        erased = folder.json("erase", "--external-id", "lamp", "--yes")
        assert erased, erased
        with sqlite3.connect(f"file:{folder.path / 'catalog.db'}?mode=ro", uri=True) as catalog:
            assert catalog.execute("SELECT count(*) FROM given_vectors").fetchone() == (ROWS,)
        assert folder.json("verify", "--index", "products.1")["clean"] and folder.json("verify")["clean"]

        said = folder.json("export", str(out), "--index", "products.1")
        assert (said["pictures"], said["space"], said["model"]) == (ROWS - 1, "products", "")
        lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
        row = next(at for at, line in enumerate(lines) if line["key"] == "sku-7")
        np.testing.assert_allclose(np.load(out / "embeddings.npy")[row], unit[7], atol=2e-3)
        assert server.stop() == 0

    with folder.up() as server, server.client() as rest:
        assert search(rest, vector=vectors[5].tolist(), space="products", k=1)[0]["id"] == hits[1]["id"]
        moved = folder.run(
            "ingest", str(out / "embeddings.npy"), "--ids", str(out / "metadata.jsonl"), "--space", "products", "--json"
        )
        assert json.loads(moved.stdout)["unchanged"] + json.loads(moved.stdout)["changed"] == ROWS - 1, moved.stderr

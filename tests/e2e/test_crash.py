"""kill -9 at random moments of ingest: everything acknowledged is found exactly once, and answers are a clean run's.

The long run, 50 kills, is a load test; this one has a few.
"""

import random
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.process import Folder, Server
from tests.pictures import encoded, scene

KILLS = 4


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(sorted((photographs / "caltech-101").glob("[a-m]*/*.jpg"))[::40]):
        shutil.copy(path, folder / f"{number:03}.jpg")
    return folder


def uploading(server: Server, contents: Iterable[bytes], acknowledged: dict[int, bytes]) -> None:
    """Upload until the server is gone; what it acknowledged is kept."""
    with server.client() as client:
        for content in contents:
            try:
                answer = client.post("/images", files={"image": content})
            except httpx.HTTPError:
                return
            if answer.status_code in (200, 201):
                acknowledged[answer.json()["id"]] = content


def answers(folder: Folder, queries: Iterable[Path]) -> list[dict[str, float]]:
    """Score by uri, of an exact search for each picture."""
    with folder.up() as server, server.client() as client:
        return [exact(client, query.read_bytes(), k=20) for query in queries]


def exact(client: httpx.Client, content: bytes, k: int, receipts: Iterable[str] = ()) -> dict[str, float]:
    fields = {"k": k, "exact": "true", "near_duplicates": "keep", "timeout_ms": 20_000, "receipts": list(receipts)}
    found: list[dict[str, Any]] = client.post("/search", files={"image": content}, data=fields).json()["results"]
    by_uri = {hit["uri"]: hit["score"] for hit in found}
    assert len(by_uri) == len(found), "a picture was found twice"
    return by_uri


@pytest.mark.timeout(300)
def test_what_was_acknowledged_is_found_exactly_once(tmp_path: Path, pictures: Path):
    chance = random.Random(3)
    crashed = Folder(tmp_path / "crashed")
    uploads = iter([encoded(scene(160, 120, seed)) for seed in range(400)])
    acknowledged: dict[int, bytes] = {}
    for _ in range(KILLS):
        with crashed.up() as server, server.client() as client:
            client.post("/images/ingest", json={"folder": str(pictures)})
            uploader = threading.Thread(target=uploading, args=(server, uploads, acknowledged))
            uploader.start()
            uploader.join(timeout=chance.uniform(0.05, 1.5))
            server.process.kill()
            uploader.join()
    assert acknowledged

    job = crashed.json("ingest", str(pictures))
    expected = len(list(pictures.iterdir()))
    assert (job["state"], job["total"], job["vanished"]) == ("done", expected, 0)
    with crashed.up() as server, server.client() as client:
        stats = client.get("/stats").json()
        held = sum(shard["pictures"] for shard in stats["shards"])
        assert stats["catalog"]["indexed"] == held and stats["catalog"].get("pending", 0) == 0
        assert held - expected >= len(acknowledged), (
            "an upload may have been kept without its answer, never the reverse"
        )
        for image_id, content in acknowledged.items():
            row = client.get(f"/images/{image_id}").json()
            assert exact(client, content, k=3)[row["uri"]] > 0.999
        # The clean run has no uploads: they go, through the front door, before answers are compared.
        rows = client.get("/images", params={"limit": 1000}).json()["images"]
        for row in rows:
            if row["uri"].startswith("omma:"):
                receipt = client.delete(f"/images/{row['id']}").headers["Omma-Receipt"]
                assert row["uri"] not in exact(client, encoded(scene()), k=1000, receipts=[receipt])

    clean = Folder(tmp_path / "clean")
    clean.json("ingest", str(pictures))
    queries = sorted(pictures.iterdir())[::20]
    for found, wanted in zip(answers(crashed, queries), answers(clean, queries), strict=True):
        assert found == pytest.approx(wanted, abs=2e-3)

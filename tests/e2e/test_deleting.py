"""Deleting for real: taken back within the grace, gone after it; and a catalog put back from a copy of before."""

import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.process import Folder
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(240)
SECONDS = 60.0


def content(seed: int) -> bytes:
    return encoded(scene(160, 120, seed), "PNG")


def upload(client: httpx.Client, seed: int, **fields: str) -> dict[str, Any]:
    answer = client.post("/images", files={"image": content(seed)}, data=fields).raise_for_status().json()
    found(client, seed, answer["receipt"])
    return dict(answer)


def found(client: httpx.Client, seed: int, *receipts: str) -> list[int]:
    """Ids of pictures with these bytes."""
    fields = {"k": 5, "exact": "true", "near_duplicates": "keep", "timeout_ms": 20_000, "receipts": list(receipts)}
    answer = client.post("/search", files={"image": content(seed)}, data=fields).raise_for_status().json()
    assert answer["degraded"] == []
    return [hit["id"] for hit in answer["results"] if hit["score"] > 0.999]


def files(folder: Path, sha256: str) -> list[str]:
    return [path.parent.parent.name for path in folder.rglob(f"{sha256}*")]


def test_a_delete_is_taken_back_and_after_its_grace_nothing_is_left(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.up(OMMA_DELETED_GRACE_SECONDS="4") as server, server.client() as client:
        made = upload(client, 1, tags="a,b", external_id="sku", attributes='{"n": 4}')
        before = client.get(f"/images/{made['id']}").json()
        deleted = client.delete(f"/images/{made['id']}").raise_for_status().headers["omma-receipt"]
        assert found(client, 1, deleted) == []
        restored = client.post(f"/images/{made['id']}/restore").raise_for_status()
        receipt = restored.headers["omma-receipt"]
        assert client.post(f"/images/{made['id']}/restore").json()["receipt"] == receipt
        assert found(client, 1, receipt) == [made["id"]]
        after = client.get(f"/images/{made['id']}").json()
        assert after == {**before, "version": 3, "receipt": receipt}

        client.delete(f"/images/{made['id']}").raise_for_status()
        until = time.monotonic() + SECONDS
        while files(tmp_path, made["sha256"]):
            assert time.monotonic() < until, files(tmp_path, made["sha256"])
            time.sleep(0.2)
        assert client.post(f"/images/{made['id']}/restore").status_code == 404
        assert client.post("/images/999/restore").status_code == 404
        report = client.post("/verify", json={"full": True}).json()
        assert (report["clean"], report["originals"], report["originals_waiting"]) == (True, 0, 0)
        again = upload(client, 1, external_id="sku")
        assert (again["id"], client.get(f"/images/{again['id']}").json()["tags"]) == (made["id"], [])
        assert client.get(f"/images/{again['id']}/content").content == content(1)


def test_a_catalog_of_before_is_made_whole_from_the_log(tmp_path: Path) -> None:
    folder, backup = Folder(tmp_path / "omma"), tmp_path / "catalog.db"
    with folder.up() as server, server.client() as client:
        kept, changed, deleted = [upload(client, seed, external_id=f"sku-{seed}")["id"] for seed in range(3)]
        server.stop()
    shutil.copy(folder.path / "catalog.db", backup)
    with folder.up() as server, server.client() as client:
        words = {"tags": ["since"], "attributes": {"n": 1.5, "on": True}, "owner": "ann"}
        client.patch(f"/images/{changed}", json=words).raise_for_status()
        receipt = client.delete(f"/images/{deleted}").raise_for_status().headers["omma-receipt"]
        lost = [upload(client, seed, external_id=f"sku-{seed}", tags="lost")["id"] for seed in range(3, 6)]
        assert found(client, 2, receipt) == []
        rows = {i: client.get(f"/images/{i}").json() for i in (kept, changed, *lost)}
        server.stop()
    for path in folder.path.glob("catalog.db*"):
        path.unlink()
    shutil.copy(backup, folder.path / "catalog.db")

    with folder.up() as server, server.client() as client:
        report = client.post("/verify", json={"repair": True}).raise_for_status().json()
        repaired = {one["kind"]: one["repaired"] for one in report["differences"]}
        assert repaired == {"vector_newer": 2, "vector_without_row": 3}
        assert {i: client.get(f"/images/{i}").json() for i in rows} == rows
        assert [found(client, seed) for seed in range(6)] == [[kept], [changed], [], *([i] for i in lost)]
        assert client.post("/verify", json={"full": True}).json()["clean"]
        assert upload(client, 4, external_id="sku-4")["id"] == lost[1]
        assert upload(client, 9)["id"] > max(lost)
        restored = client.post(f"/images/{deleted}/restore").raise_for_status().headers["omma-receipt"]
        assert found(client, 2, restored) == [deleted]

"""Erasing on one machine: the bytes on disk are read, and nothing is found."""

import asyncio
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT, ImageId
from omma.v1 import records_pb2
from tests.e2e.job_ends import ended
from tests.e2e.process import Folder
from tests.e2e.two_models import A, B, register_two
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)
SECONDS = 240.0
OFTEN_WRITTEN = {
    "OMMA_SHARD__ENGINE__SEAL_ROWS": "16",
    "OMMA_SHARD__CHECKPOINT_SECONDS": "0.2",
    "OMMA_SHARD__MAINTENANCE_SECONDS": "0.1",
}
"""Small segments."""


def holding(folder: Path, needles: dict[str, bytes]) -> list[tuple[str, str]]:
    """Which file holds what."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with suppress(OSError):  # a server renamed or removed it meanwhile
                content = path.read_bytes()
                found += [
                    (str(path.relative_to(folder)), name) for name, needle in needles.items() if needle in content
                ]
    return found


def upload(client: httpx.Client, content: bytes, **fields: str) -> dict[str, Any]:
    answer = client.post("/images", files={"image": content}, data=fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def arrived(client: httpx.Client, content: bytes, receipts: list[str]) -> None:
    fields = {"k": 3, "timeout_ms": 60_000, "receipts": ",".join(receipts)}
    assert "receipt_pending" not in client.post("/search", files={"image": content}, data=fields).json()["degraded"]


def vector_of(folder: Path, image_id: int) -> bytes:
    """A stretch of the picture's float16 vector, as the log has it."""
    with sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True) as log:
        for (value,) in log.execute("SELECT value FROM record WHERE key = ?", (image_id.to_bytes(8, "big"),)):
            try:
                record = records_pb2.VectorRecord.FromString(value)
            except DecodeError:  # an event has the same key
                continue
            if record.vectors.data and np.isfinite(np.frombuffer(record.vectors.data, "<f2")).all():
                return record.vectors.data[:64]
    raise AssertionError("no vector in the log")


async def rows_cleared(folder: Path, image_id: int) -> None:
    """What `POST /erase` does before it asks for a job."""
    catalog = await open_sqlite_catalog(folder / "catalog.db")
    await catalog.erase(DEFAULT_TENANT, [ImageId(image_id)])
    await catalog.close()


def test_nothing_of_an_erased_picture_is_on_any_disk(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    settings = OFTEN_WRITTEN | {"OMMA_SHARD__SNAPSHOT_SECONDS": "0.2"}  # all that may hold copies is there
    pictures = [encoded(scene(160, 120, seed), "PNG") for seed in range(24)]
    with folder.up(**settings) as server, server.client() as client:
        made = [
            upload(client, one, external_id=f"external-{i:04}-id", owner="alice" if i < 3 else "bob", tags=f"tag-{i}-x")
            for i, one in enumerate(pictures)
        ]
        arrived(client, pictures[0], [one["receipt"] for one in made])
        client.patch(f"/images/{made[0]['id']}", json={"tags": ["changed-tag-0-x"]}).raise_for_status()
        upload(client, pictures[5][:-1] + b"!", external_id="external-dead-id", owner="alice")
        client.get(f"/images/{made[0]['id']}/thumbnail").raise_for_status()
        client.post("/search", data={"image_id": str(made[0]["id"])}).raise_for_status()
        client.post("/feedback", json={"image_id": made[1]["id"], "action": "relevant"}).raise_for_status()
        needles = {}
        for i in range(3):
            needles |= {
                f"vector {i}": vector_of(folder.path, made[i]["id"]),
                f"bytes {i}": pictures[i][200:264],
                f"external id {i}": f"external-{i:04}-id".encode(),
                f"tag {i}": f"tag-{i}-x".encode(),
            }
        needles["of the dead one"] = b"external-dead-id"
        until = time.monotonic() + SECONDS
        while not {"snapshots", "segments"} <= {
            part for path, _ in holding(folder.path, needles) for part in Path(path).parts
        }:
            assert time.monotonic() < until, holding(folder.path, needles)
            time.sleep(0.2)

        answer = client.post("/erase", json={"owner": "alice"})
        assert answer.status_code == 202 and answer.json()["pictures"] == 4, answer.text
        assert client.get(f"/images/{made[0]['id']}").status_code == 404
        report = ended(client, answer.json()["job_id"])["result"]
        assert holding(folder.path, needles) == []
        assert report["pictures"] == report["blobs"] == 4 and report["replicas"] == 1 and report["not_reached"]
        assert client.post(f"/images/{made[0]['id']}/restore").status_code == 404
        # The others are all there, and found.
        fields = {"k": 1, "exact": "true", "timeout_ms": 20_000}
        for one, content in list(zip(made, pictures, strict=True))[3:]:
            found = client.post("/search", files={"image": content}, data=fields).json()["results"]
            assert [hit["id"] for hit in found] == [one["id"]]
        assert client.post("/verify", json={"full": True}).json()["clean"]
        assert server.stop() == 0
    assert holding(folder.path, needles) == []
    with folder.up(**settings) as server, server.client() as client:
        assert client.get("/images").json()["count"] == 21
        assert holding(folder.path, needles) == []


def test_a_folder_does_not_bring_an_erased_picture_back_unless_it_is_told_to(tmp_path: Path) -> None:
    folder, album = Folder(tmp_path / "data"), tmp_path / "album"
    album.mkdir()
    for seed in range(3):
        (album / f"{seed}.png").write_bytes(encoded(scene(160, 120, seed), "PNG"))
    uri = (album / "1.png").as_uri()
    with folder.up() as server, server.client() as client:

        def ingested(**asked: bool) -> dict[str, Any]:
            answer = client.post("/images/ingest", json={"folder": str(album), **asked}).raise_for_status()
            return ended(client, answer.json()["job_id"])

        assert ingested()["created"] == 3
        refused = client.post("/erase", json={"external_ids": [uri], "owner": "x"})
        assert (refused.status_code, refused.json()["field"]) == (422, "ids")
        report = folder.json("erase", "--external-id", uri, "--yes")
        assert (report["pictures"], report["blobs_of_others"]) == (1, 0)
        assert holding(folder.path, {"uri": uri.encode()}) == [], "the original stays, and nothing of ours says so"
        assert ingested()["created"] == 0
        (album / "1.png").rename(album / "another name.png")
        assert ingested()["created"] == 0
        assert ingested(revive_deleted=True)["created"] == 1
        assert client.get("/images").json()["count"] == 3


def test_an_erase_whose_gateway_died_in_it_is_done_all_the_same(tmp_path: Path) -> None:
    """Its rows were cleared, which nobody takes back, and nobody was told of a job for the rest."""
    folder, picture = Folder(tmp_path / "data"), encoded(scene(160, 120, 1), "PNG")
    with folder.up() as server, server.client() as client:
        made = upload(client, picture, external_id="external-died-id")
        arrived(client, picture, [made["receipt"]])
        server.stop(signal.SIGKILL)
    asyncio.run(rows_cleared(folder.path, made["id"]))
    (folder.path / "blobs" / ".staging").mkdir(exist_ok=True)
    (folder.path / "blobs" / ".staging" / "upload").write_bytes(picture)  # one that was cut off, too
    needles = {"bytes": picture[200:264], "external id": b"external-died-id"}
    assert holding(folder.path, needles)
    with folder.up():
        until = time.monotonic() + SECONDS
        while held := holding(folder.path, needles):
            assert time.monotonic() < until, held
            time.sleep(0.2)


@pytest.mark.parametrize("asked", [{"model": B}, {"index": "another", "shards": 2}], ids=["model", "shards"])
def test_a_rollout_whose_building_is_paused_keeps_nothing_of_what_is_erased(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    register_two(tmp_path / "models")
    folder = Folder(tmp_path / "data")
    settings = {
        "OMMA_EGS__MODELS_DIR": str(tmp_path / "models"),
        "OMMA_MODEL": A,
        **OFTEN_WRITTEN,
        "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "600",
        "OMMA_WORKER__ERASE_SECONDS": "60",
    }
    pictures = [encoded(scene(160, 120, seed), "PNG") for seed in range(24)]
    with folder.up(**settings) as server, server.client() as client:
        made = [upload(client, one, tags=f"tag-{i}-x") for i, one in enumerate(pictures)]
        arrived(client, pictures[0], [one["receipt"] for one in made])
        begun = client.post("/rollouts", json=asked).raise_for_status().json()
        place, needle = folder.path / "shards" / begun["candidate"]["id"], {"tag": b"tag-0-x"}
        until = time.monotonic() + SECONDS
        while not holding(place, needle):
            assert time.monotonic() < until, "the candidate holds nothing"
            time.sleep(0.1)
        client.post(f"/rollouts/{begun['id']}/pause").raise_for_status()
        upload(client, encoded(scene(160, 120, 99), "PNG"))  # an event that a paused indexer does not handle
        time.sleep(1.0)
        answer = client.post("/erase", json={"ids": [made[0]["id"]]})
        ended(client, answer.json()["job_id"])
        assert holding(folder.path, needle) == []
        client.post(f"/rollouts/{begun['id']}/resume").raise_for_status()
        assert client.get(f"/rollouts/{begun['id']}").json()["state"] == "building"
        arrived(client, pictures[1], [upload(client, pictures[0] + b"0")["receipt"]])
        assert client.post("/verify", json={"full": True}).json()["clean"]

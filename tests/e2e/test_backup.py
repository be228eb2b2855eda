"""docs/operations.md: a folder is copied while pictures come and go, and the copy answers."""

import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.conftest import ROOT
from tests.e2e.process import Folder, Server
from tests.pictures import encoded, scene
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

BEFORE, MEANWHILE, AFTER = range(40), range(1_000, 2_000), 5_000
_BLOCK = re.compile(r"^### One machine's folder is backed up\n.*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Writing:
    """Pictures come, one after the other, and every third one goes again, until it is told to end."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.made: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        with self._server.client() as client:
            for seed in MEANWHILE:
                if self._ended.is_set():
                    return
                self.made.append(uploaded(client, seed))
                if seed % 3 == 0:
                    client.delete(f"/images/{self.made[-2]}").raise_for_status()


def uploaded(client: httpx.Client, seed: int) -> int:
    return int(client.post("/images", files={"image": encoded(scene(seed=seed))}).raise_for_status().json()["id"])


def found(client: httpx.Client, seed: int) -> list[int]:
    asked = {"k": 1, "exact": "true", "near_duplicates": "keep", "timeout_ms": 20_000}
    answer = client.post("/search", files={"image": encoded(scene(seed=seed))}, data=asked).raise_for_status().json()
    return [hit["id"] for hit in answer["results"]]


def test_a_copy_that_was_made_under_writes_has_what_was_there_before_it(tmp_path: Path) -> None:
    (commands,) = _BLOCK.findall((ROOT / "docs" / "operations.md").read_text())
    live, copy = Folder(tmp_path / "omma-data"), Folder(tmp_path / "copy")
    with live.up(OMMA_SHARD__ENGINE__SEAL_ROWS="16") as server, server.client() as client:
        ids = {uploaded(client, seed): seed for seed in BEFORE}
        gone = next(iter(ids))
        client.delete(f"/images/{gone}").raise_for_status()
        until(lambda: found(client, BEFORE[-1]) == [list(ids)[-1]], 60)
        with Writing(server) as writing:
            until(lambda: len(writing.made) > 20, 60)
            acknowledged = len(writing.made)
            subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True)
            until(lambda: len(writing.made) > acknowledged + 20, 60)
        assert client.get("/readyz").is_success
    copied = {path.name for path in copy.path.iterdir()}
    assert {"catalog.db", "log.db", "blobs"} <= copied and not {"shards", "omma.lock", "server.json"} & copied
    shutil.rmtree(live.path)

    with copy.up() as server:
        until(lambda: copy.run("verify", "--repair").returncode == 0, 100)
        with server.client() as client:
            del ids[gone]
            for image_id, seed in ids.items():
                assert found(client, seed) == [image_id]
            assert client.get(f"/images/{gone}").status_code == 404
            kept = [client.get(f"/images/{id}") for id in writing.made[: acknowledged - 2]]
            assert {one.status_code for one in kept} == {200, 404}
            assert uploaded(client, AFTER) > max(writing.made[:acknowledged]), "no id is given twice"

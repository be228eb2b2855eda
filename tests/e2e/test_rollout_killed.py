"""kill -9 of one process at each step of a rollout: the step was taken or not, and the walk goes on from there."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.e2e.process import Folder
from tests.e2e.two_models import A, B, register_two
from tests.pictures import encoded, scene
from tests.waiting import until

PICTURES = 12
STEPS: list[tuple[str, dict[str, Any], str, str]] = [
    ("canary", {"share": 50, "force": True}, "shadow", "canary"),
    ("promote", {}, "canary", "promoted"),
    ("rollback", {}, "promoted", "rolled_back"),
    ("promote", {}, "rolled_back", "promoted"),
    ("retire", {"yes": True}, "promoted", "retired"),
]

pytestmark = pytest.mark.timeout(600)


class Walk:
    """Of one folder, whose server is killed in the midst of each step."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = Folder(folder)
        self.settings = {
            "OMMA_EGS__MODELS_DIR": str(models),
            "OMMA_MODEL": A,
            "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.2",
            # A busy machine would be taken for a bad candidate.
            "OMMA_WORKER__JUDGE_SECONDS": "600",
        }
        self.random = Random(10)
        self.id = ""

    @contextmanager
    def served(self) -> Iterator[httpx.Client]:
        with self.folder.up(**self.settings) as server, server.client() as client:
            yield client

    def shown(self, client: httpx.Client) -> Any:
        return client.get(f"/rollouts/{self.id}").raise_for_status().json()

    def reaches(self, client: httpx.Client, state: str) -> None:
        until(lambda: bool(self.shown(client)["state"] == state), 300, f"{state} is not reached")

    def killed_in(self, name: str, body: dict[str, Any], before: str) -> None:
        """The server ends some milliseconds after it was asked for the step."""
        with self.folder.up(**self.settings) as server, server.client() as client:
            self.reaches(client, before)

            def ask() -> None:
                with suppress(httpx.HTTPError):
                    client.post(f"/rollouts/{self.id}/{name}", json=body)

            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(self.random.uniform(0.0, 0.03))
            server.stop(signal.SIGKILL)
            asking.join()


def test_each_step_is_taken_or_not_and_the_walk_goes_on(tmp_path: Path) -> None:
    register_two(tmp_path / "models")
    walk = Walk(tmp_path / "data", tmp_path / "models")
    with walk.served() as client:
        for seed in range(PICTURES):
            answer = client.post("/images", files={"image": encoded(scene(64, 48, seed))}).raise_for_status()
        client.post("/search", json={"image_id": 1, "receipts": [answer.json()["receipt"]], "timeout_ms": 60_000})
        begun = client.post("/rollouts", json={"model": B}).raise_for_status().json()
        walk.id, candidate = begun["id"], begun["candidate"]["id"]
    taken = ["start"]
    for name, body, before, after in STEPS:
        walk.killed_in(name, body, before)
        with walk.served() as client:
            told = walk.shown(client)
            assert told["state"] in (before, after), name
            if told["state"] == before:
                client.post(f"/rollouts/{walk.id}/{name}", json=body).raise_for_status()
            taken += ["shadow", name] if name == "canary" else [name]
            told = walk.shown(client)
            assert [one["step"] for one in told["audit"]] == taken and told["state"] == after
            live = [one["id"] for one in client.get("/indexes").json()["indexes"] if one["state"] == "live"]
            assert live == [candidate if after in ("promoted", "retired") else begun["control"]["id"]]

            def whole(index: str = live[0]) -> bool:
                asked = {"image_id": 1, "k": 100, "exact": True, "index": index, "near_duplicates": "keep"}
                found = client.post("/search", json={**asked, "timeout_ms": 60_000})
                return found.is_success and len(found.json()["results"]) == PICTURES - 1

            until(whole, 300, f"{live[0]} lacks pictures after {name}")

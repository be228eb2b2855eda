"""The collection that the contract is walked on: in one process, and on a cluster of real parts."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.process import OMMA
from tests.pictures import encoded, scene
from tests.waiting import until

PICTURES, SECONDS = 8, 120.0
HIT = {"id", "score", "uri", "thumbnail_url"}
ANSWER = {"results", "latency_ms", "query_id", "space", "index", "coverage", "degraded"}
FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
WEB_HOST = "127.0.0.2"
"""The only private address that pictures are fetched from: of 127.0.0.1 it can be seen that none are."""
SETTINGS = {
    "OMMA_FETCH__NETWORKS": f'["{WEB_HOST}/32"]',
    "OMMA_DELETED_GRACE_SECONDS": "30",
    "OMMA_WORKER__COLLECT_SECONDS": "1",
}


@dataclass
class World:
    """ids: of the pictures in it, by seed; each is 320x200. deleted: the id of one that was deleted first of all.
    reads_folders: a list may name files of this machine. source, put: a folder or a bucket that is ingested from, and
    how a file comes into it.
    """

    rest: httpx.Client
    grpc: str
    reads_folders: bool
    source: str
    put: Callable[[str, bytes], None]
    deleted: int = 0
    ids: list[int] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(self.rest.base_url).rstrip("/")

    def ok(self, method: str, path: str, status: int = 200, **sent: Any) -> Any:
        """Asked again as a client does that is told to slow down."""
        answer = self.until(lambda: self._answer(method, path, **sent))
        assert answer.status_code == status, (method, path, answer.status_code, answer.text[:600])
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, **sent: Any) -> httpx.Response | None:
        answer = self.rest.request(method, path, **sent)
        return None if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else answer

    def search(self, status: int = 200, **asked: Any) -> Any:
        return self.ok("POST", "/search", status, json={"timeout_ms": 30_000, **asked})

    def refused(self, status: int, field: str, method: str, path: str, **sent: Any) -> Any:
        answer = self.rest.request(method, path, **sent)
        assert answer.status_code == status, (path, answer.text[:600])
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert {"type", "title", "status", "detail", "kind", "request_id"} <= told.keys()
        assert told["status"] == status and told.get("field", "") == field, told
        return told

    def until(self, condition: Any) -> Any:
        return until(condition, SECONDS)

    def job(self, id: str) -> Any:
        def ended() -> Any:
            told = self.ok("GET", f"/jobs/{id}")
            return told if told["state"] not in ("waiting", "running") else None

        return self.until(ended)

    def omma(self, *arguments: str, key: str = "") -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMMA_")}
        environment = {**kept, "OMMA_URL": self.url, **({"OMMA_API_KEY": key} if key else {})}
        run = [*OMMA, *arguments]
        return subprocess.run(run, env=environment, capture_output=True, text=True, timeout=120, check=False)


def filled(world: World) -> World:
    world.deleted = world.ok("POST", "/images", 201, files={"image": encoded(scene(seed=PICTURES))})["id"]
    world.receipts.append(world.rest.delete(f"/images/{world.deleted}").headers["omma-receipt"])
    for seed in range(PICTURES):
        form = {
            "external_id": f"p{seed}",
            "owner": "ann" if seed % 2 else "bob",
            "tags": ["even" if seed % 2 == 0 else "odd", "scene"],
            "source_url": f"https://shop.example/{seed}",
            "attributes": json.dumps({"price": seed}),
        }
        made = world.ok("POST", "/images", 201, files={"image": encoded(scene(seed=seed))}, data=form)
        assert made.keys() == {"id", "sha256", "receipt", "duplicate"} and made["duplicate"] is False
        world.ids.append(made["id"])
        world.receipts.append(made["receipt"])
    world.search(image_id=world.ids[0], receipts=world.receipts, k=1)
    world.until(lambda: len(world.search(image_id=world.ids[0], near_duplicates="keep")["results"]) == PICTURES - 1)
    return world


def left_out(answer: Any) -> set[str]:
    """But for writes that wait on a busy machine."""
    return set(answer["degraded"]) - {"stale_replica"}

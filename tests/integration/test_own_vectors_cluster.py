"""Vectors that callers bring, on a cluster of real parts: a topic and shards of their own, over killed processes."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from deploy.local import Cluster
from tests.integration.small_cluster import small_cluster
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)
ROWS, DIM, SECONDS = 600, 12, 240.0


@pytest.fixture
def running() -> Iterator[Cluster]:
    settings = {"OMMA_SHARD__CATALOG_SECONDS": "1", "OMMA_SHARD__STALE_SECONDS": "900"}
    with small_cluster(1, 1, OMMA_WORKER__JOB_POLL_SECONDS="0.2", OMMA_WORKER__JOB_LEASE_SECONDS="3", **settings) as it:
        yield it


def test_a_space_of_ones_own_has_its_topic_and_the_shards_of_the_topology(running: Cluster) -> None:
    vectors = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    rows = [{"id": f"v{number}", "vector": vector.tolist()} for number, vector in enumerate(vectors)]
    with httpx.Client(base_url=running.rest, timeout=60) as rest:
        refused = rest.post("/spaces", json={"name": "products", "dim": DIM})
        assert refused.status_code == 404 and "space: products" in refused.json()["detail"]
        running.add_space("own", space="products", shards=2)

        def made() -> httpx.Response | None:
            answer = rest.post("/spaces", json={"name": "products", "dim": DIM})
            return answer if answer.status_code == 201 else None

        assert until(made, SECONDS).json()["indexes"] == ["own"]
        job = rest.post("/vectors", json={"space": "products", "vectors": rows}).json()["job_id"]
        for service in (running.worker, running.indexer):
            service.server.kill()  # its supervisor starts it again

        def search(**asked: Any) -> dict[str, Any] | None:
            body = {"vector": vectors[3].tolist(), "space": "products", "k": 5, "exact": True, **asked}
            answer = rest.post("/search", json={"near_duplicates": "keep", "timeout_ms": 30_000, **body})
            whole = answer.is_success and answer.json()["coverage"]["fraction"] == 1
            return answer.json() if whole and len(answer.json()["results"]) == body["k"] else None

        until(lambda: rest.get(f"/jobs/{job}").json()["state"] == "done", SECONDS)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

        def best() -> list[dict[str, Any]] | None:
            found = until(search, SECONDS)
            keys = [rest.get(f"/images/{hit['id']}").json()["key"] for hit in found["results"]]
            return found["results"] if keys == [f"v{row}" for row in np.argsort(-(unit @ unit[3]))[:5]] else None

        hits = until(best, SECONDS)
        receipt = rest.delete(f"/images/{hits[0]['id']}").headers["omma-receipt"]
        left = until(lambda: search(k=4, receipts=[receipt]), SECONDS)
        assert [hit["id"] for hit in left["results"]] == [hit["id"] for hit in hits[1:]]

        def clean(index: str) -> bool:
            answer = rest.post("/verify", json={"index": index}, params={"wait_seconds": 50}, timeout=90)
            return answer.status_code == 200 and answer.json()["clean"]

        until(lambda: clean("own"), SECONDS)
        until(lambda: clean(""), SECONDS)
        for replicas in running.indexes["own"].shards:
            replicas[0].server.kill()
        assert until(lambda: search(k=4), SECONDS)["results"] == left["results"], "rebuilt from the log"

"""Copies that no signature tells, on real Kafka, MinIO, PostgreSQL and two shards: a worker looks, a search folds."""

import time

import httpx
import pytest
from PIL import Image

from tests.integration.small_cluster import small_cluster
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(400)

LAMP = scene(640, 480, seed=1)
SECONDS = 120.0


def test_what_was_looked_at_is_folded_by_a_search() -> None:
    pictures = {
        "crop": LAMP.crop((83, 10, 627, 422)),
        "turned": LAMP.rotate(-6, Image.Resampling.BICUBIC),
        "chair": scene(640, 480, seed=2),
    }
    with (
        small_cluster(2, 1, OMMA_WORKER__COPIES_SECONDS="0.3") as running,
        httpx.Client(base_url=running.rest, timeout=60) as rest,
    ):
        ids = {}
        for name, picture in pictures.items():
            answer = rest.post("/images", files={"image": encoded(picture)}).raise_for_status()
            ids[name] = answer.json()["id"]
        expected = {frozenset({ids["crop"], ids["turned"]}), frozenset({ids["chair"]})}
        end = time.monotonic() + SECONDS
        while True:
            asked = {"explain": "true", "timeout_ms": "20000"}
            told = rest.post("/search", files={"image": encoded(LAMP)}, data=asked).raise_for_status().json()
            found = {
                frozenset([hit["id"], *(one["id"] for one in hit.get("duplicates", ()))]) for hit in told["results"]
            }
            if found == expected:
                break
            assert time.monotonic() < end
            time.sleep(0.2)
        assert [one["rule"] for one in told["explain"]["folded"]] == ["look:turned"]

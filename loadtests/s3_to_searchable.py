"""An object put into the inbox until a search finds it, without any call to Omma: MinIO, Kafka, indexer, shard.

    python -m loadtests.s3_to_searchable [--pictures N] [--no-triton]

One object after the other, into a cluster of 4 shards x 2 replicas that holds some pictures. The clock runs from the
first byte of the PUT to the answer of a search by the picture's own vector; searches are repeated every few ms. Twice:
with events that MinIO keeps on its disk and sends every 3 s, and with events that it sends at once.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local import Shape, cluster
from loadtests.bench.figures import Report, percentile
from loadtests.bench.up import photographs

_BEFORE: Final = 5
_GIVE_UP_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.002
_SAME: Final = 0.9999


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--pictures", type=int, default=30)
    words.add_argument("--no-triton", action="store_true")
    given = words.parse_args()
    report = Report("s3_to_searchable", "python -m loadtests.s3_to_searchable")
    pictures = photographs(_BEFORE + given.pictures)
    table = report.table("From the first byte of the PUT, ms.", ["", "p50", "p90", "p99", "max"])
    for how, keep_events in (("events kept", True), ("events sent at once", False)):
        shape = Shape(triton=not given.no_triton, keep_events=keep_events, environment={"OMMA_LOG_LEVEL": "warning"})
        for what, took in zip(("MinIO has it", "searchable"), _timed(shape, pictures), strict=True):
            table.rows.append([f"{how}: {what}", *(f"{percentile(took, at):.0f}" for at in (50, 90, 99, 100))])
    report.save()
    return 0


def _timed(shape: Shape, pictures: Sequence[Path]) -> tuple[list[float], list[float]]:
    """Milliseconds until MinIO has each, and until it is searchable."""
    with cluster(shape) as running, httpx.Client(base_url=running.rest, timeout=60) as client:
        bucket = running.minio.client()
        put: list[float] = []
        searchable: list[float] = []
        for number, path in enumerate(pictures):
            content = path.read_bytes()
            vector = client.post("/embed/image", files={"image": content}).raise_for_status().json()
            start = time.perf_counter()
            bucket.put_object(Bucket="inbox", Key=f"{number}{path.suffix}", Body=content)
            acknowledged = time.perf_counter() - start
            _until_found(client, vector, start, path)
            if number >= _BEFORE:
                put.append(acknowledged * 1e3)
                searchable.append((time.perf_counter() - start) * 1e3)
    return put, searchable


def _until_found(client: httpx.Client, embedded: Any, start: float, path: Path) -> None:
    asked = {"vector": embedded["vector"], "space": embedded["space"], "k": 1}
    while True:
        answer = client.post("/search", json=asked).raise_for_status().json()
        if any(hit["score"] > _SAME for hit in answer["results"]):
            return
        if time.perf_counter() - start > _GIVE_UP_SECONDS:
            raise SystemExit(f"{path} was not searchable within {_GIVE_UP_SECONDS:.0f} s.")
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

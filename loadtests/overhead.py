"""What a REST search costs beyond its parts: decode + embed + shard call.

    python -m loadtests.overhead [--queries N] [--stored N]

`explain` tells how long the parts took inside the very same request; the rest of the request's time, as the client
sees it on a kept-alive connection, is the overhead: HTTP, multipart, validation, merge, re-ranking, rendering.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from loadtests.bench.figures import Report, percentile
from loadtests.bench.up import photographs, up

WARM_UP = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--stored", type=int, default=500, help="pictures that are searched")
    given = parser.parse_args()
    report = Report("overhead", "python -m loadtests.overhead")
    pictures = photographs(given.stored + WARM_UP + given.queries)
    wholes, overheads, by_stage = [], [], {}
    with tempfile.TemporaryDirectory() as folder, up(Path(folder)) as server, server.client() as client:
        receipt = ""
        for one in pictures[: given.stored]:
            receipt = client.post("/images", files={"image": one.read_bytes()}).json()["receipt"]
        fields = {"k": 50, "explain": "true", "timeout_ms": 60_000, "receipts": [receipt]}
        client.post("/search", files={"image": pictures[0].read_bytes()}, data=fields).raise_for_status()
        fields = {"k": 50, "explain": "true"}
        for at, one in enumerate(pictures[given.stored :]):
            content = one.read_bytes()
            start = time.perf_counter()
            answer = client.post("/search", files={"image": content}, data=fields)
            took = (time.perf_counter() - start) * 1e3
            stages = _stages_ms(answer.raise_for_status().json()["explain"])
            if at < WARM_UP:
                continue
            wholes.append(took)
            overheads.append(took - stages["embed"] - stages["shards"])
            for name, milliseconds in stages.items():
                by_stage.setdefault(name, []).append(milliseconds)
    table = report.table("One REST search of a photograph, k=50, ms.", ["", "p50", "p90"])
    for name, took in (("whole, at the client", wholes), ("overhead", overheads), *sorted(by_stage.items())):
        table.rows.append([name, f"{percentile(took, 50):.2f}", f"{percentile(took, 90):.2f}"])
    cost = statistics.median(overheads)
    report.target(
        "overhead: REST search beyond decode + embed + shard call, p50", f"{cost:.1f} ms", "<= 5 ms", cost <= 5
    )
    report.save()
    return int(cost > 5)


def _stages_ms(explain: dict) -> dict[str, float]:
    """Stage times of the answer's explain, ms."""
    return {name: float(value) for name, value in explain["stages_ms"].items()}


if __name__ == "__main__":
    sys.exit(main())

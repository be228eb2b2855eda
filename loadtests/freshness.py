"""POST /images until the picture is found: one picture after the other, on a folder that holds some already.

    python -m loadtests.freshness [--pictures N] [--stored N]

The clock runs from the first byte of the upload to the answer of a search that finds the picture by its own vector's
neighbourhood; searches are repeated without pause and without receipts, so that nothing waits on our behalf.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from loadtests.bench.figures import Report, percentile
from loadtests.bench.up import photographs, up

GIVE_UP_SECONDS = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--stored", type=int, default=200, help="pictures that are there before")
    given = parser.parse_args()
    report = Report("freshness", "python -m loadtests.freshness")
    pictures = photographs(given.stored + given.pictures)
    acknowledged, searchable = [], []
    with tempfile.TemporaryDirectory() as folder, up(Path(folder)) as server, server.client() as client:
        receipts = [
            client.post("/images", files={"image": one.read_bytes()}).json()["receipt"]
            for one in pictures[: given.stored]
        ]
        fields = {"receipts": receipts[-1:], "timeout_ms": 60_000}
        client.post("/search", files={"image": pictures[0].read_bytes()}, data=fields).raise_for_status()
        for one in pictures[given.stored :]:
            content = one.read_bytes()
            start = time.perf_counter()
            answer = client.post("/images", files={"image": content})
            acknowledged.append((time.perf_counter() - start) * 1e3)
            image_id = answer.raise_for_status().json()["id"]
            while client.post("/search", json={"queries": [{"image_id": image_id}], "k": 1}).status_code != 200:
                if time.perf_counter() - start > GIVE_UP_SECONDS:
                    raise SystemExit(f"{one} was not searchable within {GIVE_UP_SECONDS:.0f} s.")
            searchable.append((time.perf_counter() - start) * 1e3)
    table = report.table("From the first byte of the upload, ms.", ["", "p50", "p90", "p99", "max"])
    for name, took in (("201 acknowledged", acknowledged), ("searchable", searchable)):
        table.rows.append([name, *(f"{percentile(took, at):.0f}" for at in (50, 90, 99, 100))])
    p50 = percentile(searchable, 50)
    report.target("freshness: POST /images to searchable, p50", f"{p50:.0f} ms", "< 300 ms", p50 < 300)
    report.save()
    return int(p50 >= 300)


if __name__ == "__main__":
    sys.exit(main())

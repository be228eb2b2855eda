"""A list of URLs of which some fail in every way, ingested with one kill -9 in the midst.

    python -m loadtests.url_ingest [--pictures N] [--bad SHARE]

All the good ones are in, each bad one is named with its reason, memory stays flat, and nothing that was downloaded
whole is downloaded twice.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from loadtests.bench.figures import Report
from loadtests.bench.memory import MIB, Memory
from loadtests.bench.up import Up, up
from tests.hostile_web import KINDS, NAMED, HostileWeb, hostile_web
from tests.pictures import encoded, scene

AT_ONCE = 16
SETTINGS = {
    "OMMA_FETCH__NETWORKS": '["127.0.0.0/8"]',
    "OMMA_PICTURES__MAX_BYTES": "4000000",
    "OMMA_WORKER__URLS__AT_ONCE": str(AT_ONCE),
    "OMMA_WORKER__URLS__BY_HOST": "8",
    "OMMA_WORKER__URLS__SECONDS": "3",
    "OMMA_WORKER__URLS__TRIES": "2",
    "OMMA_WORKER__URLS__HOST_FAILURES": "1000",
}


@cache
def picture(number: int) -> bytes:
    return encoded(scene(160, 120, seed=number))


def _ended(server: Up, job_id: str, enough: int | None = None) -> Any:
    """The job when it has ended, or when so many pictures are in."""
    with server.client() as client:
        while True:
            answer = client.get(f"/jobs/{job_id}")
            if answer.is_error:  # a machine without a moment for the catalog
                print(f"asked for the job: {answer.status_code} {answer.text}", file=sys.stderr)
            else:
                job = answer.json()
                if job["state"] not in ("waiting", "running") or job["created"] >= (enough or math.inf):
                    return job
            time.sleep(0.5)


def _run(root: Path, web: HostileWeb, urls: list[str], good: int) -> tuple[Any, Memory, float, dict[str, Any]]:
    with up(root / "data", **SETTINGS) as server:
        with server.client() as client:
            started = client.post("/ingest", json={"urls": urls}).raise_for_status()
        job_id = started.json()["job_id"]
        _ended(server, job_id, enough=good // 3)
        server.process.kill()
        server.process.wait()
    began = time.perf_counter()
    with up(root / "data", **SETTINGS) as server:
        with Memory(server) as memory:
            job = _ended(server, job_id)
        seconds = time.perf_counter() - began
        with server.client() as client:
            failed = client.get(f"/jobs/{job_id}/downloads", params={"failed": "true"}).json()["downloads"]
            count = client.get("/images", params={"limit": 1}).json()["count"]
        server.stop()
    return job, memory, seconds, {"failed": failed, "count": count}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--bad", type=float, default=0.05, help="share of them")
    given = parser.parse_args()
    report = Report("url_ingest", f"python -m loadtests.url_ingest --pictures {given.pictures}")
    each = max(1, round(given.pictures * given.bad / len(KINDS)))
    good = given.pictures - each * len(KINDS)
    with tempfile.TemporaryDirectory() as folder, hostile_web(picture) as web:
        bad = {f"{web.url}/{kind}/{number}": NAMED[kind] for kind in KINDS for number in range(each)}
        urls = [*bad, *(f"{web.url}/good/{number}" for number in range(good))]
        random.Random(3).shuffle(urls)
        job, memory, seconds, told = _run(Path(folder), web, urls, good)
        named = {one["place"]: one["outcome"] for one in told["failed"]}
        twice = sum(times > 1 for times in web.served.values())
    early, late = memory.halves()
    held = job["state"] == "done" and told["count"] == good and named == bad and twice <= AT_ONCE
    table = report.table("", ["URLs", "in", "bad, each named rightly", "twice", "MiB, 1st half", "2nd half", "seconds"])
    rightly = sum(named.get(url) == name for url, name in bad.items())
    table.rows.append(
        [
            given.pictures,
            told["count"],
            f"{rightly} of {len(bad)}",
            twice,
            f"{early / MIB:.0f}",
            f"{late / MIB:.0f}",
            f"{seconds:.0f}",
        ]
    )
    report.target(
        "a list of URLs, 5% bad, killed once",
        f"{told['count']} of {good} in, {rightly} of {len(bad)} named, {twice} twice",
        f"all in, all named, at most the {AT_ONCE} under way twice",
        held,
    )
    report.save()
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())

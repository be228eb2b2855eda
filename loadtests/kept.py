"""Searches of one process whose embeddings and results are kept, against the same without.

    python -m loadtests.kept [--pictures N] [--searches N]

A stream of searches over a few queries, as people send them (the n-th most frequent one n times less often), by
picture and by words; one client. Then the same with a write between any two.
"""

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from loadtests.bench.drawn import drawn
from loadtests.bench.figures import Report
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings

QUERIES = 40


async def measured(client: httpx.AsyncClient, pictures: list[Path], searches: int, *, write: bool) -> list[float]:
    """Searches a second, p50 and p95 in milliseconds."""
    chance = random.Random(3)
    weights = [1 / (at + 1) for at in range(len(pictures))]
    words = [path.stem.replace("-", " ") for path in pictures]
    took = []
    began = time.perf_counter()
    for number in range(searches):
        at = chance.choices(range(len(pictures)), weights)[0]
        if write:
            (await client.patch("/images/1", json={"tags": [f"t{number}"]})).raise_for_status()
        asked = time.perf_counter()
        if at % 2:
            answer = await client.get("/search", params={"text": words[at], "timeout_ms": 60_000})
        else:
            form = {"timeout_ms": "60000"}
            answer = await client.post("/search", files={"image": pictures[at].read_bytes()}, data=form)
        answer.raise_for_status()
        took.append(time.perf_counter() - asked)
    rate = searches / (time.perf_counter() - began)
    return [rate, *(np.percentile(took, [50, 95]) * 1000).tolist()]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--searches", type=int, default=200)
    given = parser.parse_args()
    report = Report("kept", f"python -m loadtests.kept --pictures {given.pictures} --searches {given.searches}")
    table = report.table("", ["kept", "writes between", "searches a second", "p50 ms", "p95 ms"])
    p50: dict[tuple[bool, bool], float] = {}
    with tempfile.TemporaryDirectory() as name:
        known = await asyncio.to_thread(drawn, Path(name) / "pictures", given.pictures)
        pictures = random.Random(1).sample(known, min(QUERIES, len(known)))
        for kept in (False, True):
            gateway = {} if kept else {"kept_embeddings_bytes": 0, "kept_results_bytes": 0}
            settings = StandaloneSettings(data_dir=Path(name) / f"{kept}", http_port=0, grpc_port=0, gateway=gateway)
            async with serving(settings) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=60) as client:
                receipts = []
                for path in known:
                    added = await client.post("/images", files={"image": path.read_bytes()})
                    receipts.append(added.raise_for_status().json()["receipt"])
                there = {"image_id": 1, "receipts": receipts, "timeout_ms": 60_000}
                (await client.post("/search", json=there)).raise_for_status()
                for write in (False, True):
                    rate, middle, late = await measured(client, pictures, given.searches, write=write)
                    p50[kept, write] = middle
                    words = ["yes" if one else "no" for one in (kept, write)]
                    table.rows.append([*words, f"{rate:.0f}", f"{middle:.1f}", f"{late:.1f}"])
    gain = p50[False, False] / p50[True, False]
    report.target("kept answers: p50 without by with", f"{gain:.1f}", "> 1", gain > 1)
    report.save()


if __name__ == "__main__":
    asyncio.run(main())

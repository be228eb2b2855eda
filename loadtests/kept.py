"""python -m loadtests.kept: searches of one process whose embeddings and results are kept, against the same without.

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

from services.standalone.sample.catalogue import draw_catalogue
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings

PICTURES, QUERIES, SEARCHES = 100, 40, 200


async def measured(client: httpx.AsyncClient, pictures: list[Path], *, write: bool) -> str:
    chance = random.Random(3)
    weights = [1 / (at + 1) for at in range(QUERIES)]
    words = [path.stem.replace("-", " ") for path in pictures]
    took = []
    began = time.perf_counter()
    for number in range(SEARCHES):
        at = chance.choices(range(QUERIES), weights)[0]
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
    rate = SEARCHES / (time.perf_counter() - began)
    p50, p95 = np.percentile(took, [50, 95]) * 1000
    return f"{rate:.0f} | {p50:.1f} | {p95:.1f}"


async def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print("| kept | writes between | searches a second | p50 ms | p95 ms |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        draw_catalogue(folder)
        known = random.Random(1).sample(sorted(folder.glob("*.jpg")), PICTURES)
        pictures = known[:QUERIES]
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
                    print(f"| {'yes' if kept else 'no'} | {'yes' if write else 'no'} | ", end="")
                    print(await measured(client, pictures, write=write), "|", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

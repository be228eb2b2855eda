"""More searches a second than a machine holds: answers at what it holds, the rest refused at once, none too late.

    python -m loadtests.overload [--seconds N] [--times F]

One process, searched by photographs. First as many clients as keep it busy, one search after the other: what it holds.
Then searches at a steady rate of F times that, whatever the answers take; side by side with a gateway that never runs
fewer at once, which is what it did before it saw time.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from loadtests.bench.figures import Report, percentile
from loadtests.bench.up import photographs, up

STORED = 200
QUERIES = 64
CLIENTS = 8
WARM_UP_SECONDS = 5.0
BLIND = {"OMMA_GATEWAY__SLOW_SEARCH_SECONDS": "60", "OMMA_GATEWAY__TENANT_SHARE": "1"}
TARGET_SHARE = 0.8
TARGET_LATE = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--times", type=float, default=1.67, help="what it holds")
    given = parser.parse_args()
    report = Report("overload", "python -m loadtests.overload")
    pictures = [one.read_bytes() for one in photographs(STORED + QUERIES)]
    table = report.table(
        f"Searches offered for {given.seconds:.0f} s at {given.times:g} times what is held, a second; latency in ms.",
        ["gateway", "held", "offered", "answered", "429", "504", "other", "p50", "p95", "429 p95"],
    )
    for name, settings in (("blind to time", BLIND), ("as it is", {})):
        with tempfile.TemporaryDirectory() as folder, up(Path(folder), **settings) as server:
            with server.client() as client:
                for one in pictures[:STORED]:
                    receipt = client.post("/images", files={"image": one}).raise_for_status().json()["receipt"]
                waited = {"receipts": [receipt], "timeout_ms": 60_000, "k": 1}
                client.post("/search", data=waited, files={"image": pictures[0]}).raise_for_status()
            load = Load(server.url, pictures[STORED:])
            asyncio.run(load.held(WARM_UP_SECONDS))
            held = asyncio.run(load.held(given.seconds / 2))
            asyncio.run(load.offered(given.times * held, WARM_UP_SECONDS))
            run = asyncio.run(load.offered(given.times * held, given.seconds))
        answered = len(run.took[200]) / given.seconds
        late = len(run.took[504]) / sum(map(len, run.took.values()))
        other = sum(len(took) for status, took in run.took.items() if status not in (200, 429, 504))
        each = [f"{len(run.took[status]) / given.seconds:.1f}" for status in (200, 429, 504)]
        ms = [f"{percentile(run.took[200], share):.0f}" if run.took[200] else "-" for share in (50, 95)]
        refused = f"{percentile(run.took[429], 95):.0f}" if run.took[429] else "-"
        table.rows.append(
            [name, f"{held:.1f}", f"{given.times * held:.1f}", *each, f"{other / given.seconds:.1f}", *ms, refused]
        )
        print(f"  {table.rows[-1]}", flush=True)
    share = answered / held
    report.target(
        "overload: answered, of what is held", f"{share:.0%}", f">= {TARGET_SHARE:.0%}", share >= TARGET_SHARE
    )
    report.target("overload: answers that came too late", f"{late:.1%}", f"<= {TARGET_LATE:.0%}", late <= TARGET_LATE)
    report.save()
    return int(any(one.met is False for one in report.targets))


class Run:
    def __init__(self) -> None:
        self.took: dict[int, list[float]] = {status: [] for status in (200, 429, 504)}
        """Milliseconds by status; 0: no answer."""

    def told(self, status: int, milliseconds: float) -> None:
        self.took.setdefault(status, []).append(milliseconds)


class Load:
    def __init__(self, url: str, pictures: Sequence[bytes]) -> None:
        self._url = url
        self._requests = [httpx.Request("POST", f"{url}/search", files={"image": one}) for one in pictures]
        self._bodies = [(one.read(), dict(one.headers)) for one in self._requests]

    async def held(self, seconds: float) -> float:
        """Answers a second of busy clients."""
        run, until = Run(), time.perf_counter() + seconds
        async with self._client() as client:

            async def one_after_the_other(number: int) -> None:
                while time.perf_counter() < until:
                    await self._search(client, number, run)
                    number += CLIENTS

            await asyncio.gather(*map(one_after_the_other, range(CLIENTS)))
        return len(run.took[200]) / seconds

    async def offered(self, rate: float, seconds: float) -> Run:
        """At moments that do not depend on the answers."""
        run, searches, started = Run(), set(), time.perf_counter()
        async with self._client() as client:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
                searches.add(asyncio.create_task(self._search(client, number, run)))
            await asyncio.gather(*searches)
        return run

    def _client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=2_000, max_keepalive_connections=2_000)
        return httpx.AsyncClient(timeout=30, limits=limits)

    async def _search(self, client: httpx.AsyncClient, number: int, run: Run) -> None:
        content, headers = self._bodies[number % len(self._bodies)]
        began = time.perf_counter()
        try:
            status = (await client.post(f"{self._url}/search", content=content, headers=headers)).status_code
        except httpx.HTTPError:
            status = 0
        run.told(status, (time.perf_counter() - began) * 1e3)


if __name__ == "__main__":
    sys.exit(main())

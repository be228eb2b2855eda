"""A model rolled out, back and in again on a cluster of real parts, beside searches, uploads, deletes; then resharded.

    python -m loadtests.rollout [--pictures N] [--seconds S] [--kills]

The ledger: searches that failed, hits whose index and space do not belong together, pictures that either index lacks or
has twice. What it costs: the p95 of live searches beside the backfill against before. How soon two gateways follow. The
models are two small ones that say nothing of pictures: what is measured is the walk.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local import Cluster, Shape, cluster
from deploy.local.service import Service
from loadtests.bench.figures import Report, percentile
from loadtests.bench.up import photographs
from tests.e2e.two_models import A, B, register_two

PATIENCE_SECONDS: Final = 900.0
USERS: Final = 200


@dataclass
class Ledger:
    """What callers saw. took: ms of searches, by phase."""

    spaces: dict[str, str]
    failed: list[str] = field(default_factory=list)
    mixed: int = 0
    searches: int = 0
    took: dict[str, list[float]] = field(default_factory=dict)
    arms: Counter[str] = field(default_factory=Counter)
    phase: str = "before"
    live: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)


class Traffic:
    """Searches at a rate of their own, whatever they take; uploads and deletes beside them."""

    def __init__(self, client: httpx.AsyncClient, ledger: Ledger, extra: list[Path]) -> None:
        self._client = client
        self._ledger = ledger
        self._extra = extra
        self._under_way: set[asyncio.Task[None]] = set()
        self.per_second = 0.0

    async def run(self) -> None:
        turn = 0
        while True:
            if not self.per_second:
                await asyncio.sleep(0.05)
                continue
            turn += 1
            self._begin(self._search(turn))
            if turn % 20 == 0 and self._extra:
                self._begin(self._upload(self._extra.pop()))
            if turn % 100 == 0:
                self._begin(self._delete())
            await asyncio.sleep(1 / self.per_second)

    async def settled(self) -> None:
        """Until what is under way has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _search(self, turn: int) -> None:
        ledger, began = self._ledger, time.perf_counter()
        body = {"image_id": 1 + turn % 50, "k": 10, "user_id": f"user {turn % USERS}", "timeout_ms": 20_000}
        phase = ledger.phase
        try:
            answer = await self._client.post("/search", json=body)
        except httpx.HTTPError as error:
            ledger.failed.append(f"{phase}: {error!r}")
            return
        ledger.searches += 1
        if answer.is_error or answer.json()["degraded"]:
            ledger.failed.append(f"{phase}: {answer.text[:300]}")
            return
        found = answer.json()
        ledger.took.setdefault(phase, []).append((time.perf_counter() - began) * 1e3)
        ledger.mixed += ledger.spaces.get(found["index"], found["space"]) != found["space"]
        ledger.arms[found["index"]] += 1

    async def _upload(self, path: Path) -> None:
        answer = await _uploaded(self._client, path)
        if answer.is_success:
            self._ledger.live.add(answer.json()["id"])

    async def _delete(self) -> None:
        newest = max(self._ledger.live)
        if newest > 100 and (await self._client.delete(f"/images/{newest}")).is_success:
            self._ledger.live.discard(newest)
            self._ledger.deleted.add(newest)


class Walk:
    """One rollout over REST. followed: seconds until every gateway had acknowledged, by step."""

    def __init__(self, client: httpx.AsyncClient, gateways: Sequence[Service]) -> None:
        self._client = client
        self._gateways = gateways
        self.followed: dict[str, float] = {}
        self.id = ""

    async def start(self, **body: Any) -> None:
        self.id = (await _ok(self._client.post("/rollouts", json=body)))["id"]

    async def reaches(self, state: str) -> float:
        """Seconds until it is there."""
        began = time.perf_counter()

        async def there() -> bool:
            return bool((await _ok(self._client.get(f"/rollouts/{self.id}")))["state"] == state)

        await _until(there, 0.5)
        return time.perf_counter() - began

    async def step(self, name: str, **body: Any) -> None:
        began = time.perf_counter()
        epoch = (await _ok(self._client.post(f"/rollouts/{self.id}/{name}", json=body)))["routing"]["epoch"]

        async def followed() -> bool:
            said = (await _ok(self._client.get(f"/rollouts/{self.id}")))["routing"]["followers"]
            # One that was killed is still among the followers for a minute.
            names = [f"{socket.gethostname()}:{one.server.pid}" for one in self._gateways]
            return all(said.get(name, 0) >= epoch for name in names)

        await _until(followed, 0.05)
        self.followed[name] = max(self.followed.get(name, 0.0), time.perf_counter() - began)


async def _ok(answer: Awaitable[httpx.Response]) -> Any:
    return (await answer).raise_for_status().json()


async def _uploaded(client: httpx.AsyncClient, path: Path) -> httpx.Response:
    content = await asyncio.to_thread(path.read_bytes)
    return await client.post("/images", files={"image": content}, data={"external_id": "/".join(path.parts[-2:])})


async def _until(look: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await look():  # noqa: ASYNC110  it is asked over HTTP
            await asyncio.sleep(every_seconds)


async def _fill(client: httpx.AsyncClient, pictures: list[Path], ledger: Ledger) -> None:
    """Upload them and wait until each is found."""
    at_once = asyncio.Semaphore(8)

    async def upload(path: Path) -> None:
        async with at_once:
            answer = await _uploaded(client, path)
            ledger.live.add(answer.raise_for_status().json()["id"])

    await asyncio.gather(*map(upload, pictures))

    async def whole() -> bool:
        return (await _ok(client.get("/stats")))["catalog"]["indexed"] >= len(ledger.live)

    await _until(whole, 1.0)


@asynccontextmanager
async def _traffic(client: httpx.AsyncClient, ledger: Ledger, extra: list[Path]) -> AsyncIterator[Traffic]:
    traffic = Traffic(client, ledger, extra)
    running = asyncio.create_task(traffic.run())
    try:
        yield traffic
    finally:
        running.cancel()
        await traffic.settled()


async def _remember_spaces(client: httpx.AsyncClient, ledger: Ledger) -> None:
    ledger.spaces.update({one["id"]: one["space"] for one in (await _ok(client.get("/indexes")))["indexes"]})


async def _killed(service: Service, given: argparse.Namespace) -> None:
    if given.kills:
        await asyncio.to_thread(service.server.kill)


async def _lacking(client: httpx.AsyncClient, index: str, ledger: Ledger) -> tuple[int, int]:
    """How many acknowledged pictures the index lacks, and how many it has twice or should not have."""
    found: Counter[int] = Counter()
    body: dict[str, Any] = {"image_id": 1, "index": index, "k": 1000, "near_duplicates": "keep", "exact": True}
    while True:
        answer = await _ok(client.post("/search", json={**body, "timeout_ms": 60_000}))
        found.update(hit["id"] for hit in answer["results"])
        if not answer.get("next_cursor"):
            break
        body["cursor"] = answer["next_cursor"]
    expected = ledger.live - {1}
    return len(expected - found.keys()), sum(found.values()) - len(found) + len(found.keys() - expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of traffic in each state")
    parser.add_argument("--rate", type=float, default=5.0, help="searches a second: half of what is steady here")
    parser.add_argument("--kills", action="store_true", help="kill -9 of a process in each state as well")
    given = parser.parse_args()
    report = Report("rollout", f"python -m loadtests.rollout --pictures {given.pictures}")
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        register_two(models)
        shape = Shape(2, 1, gateways=2, model=A, models_dir=str(models), triton=False)
        with cluster(shape) as running:
            return asyncio.run(_measured(running, given, report))


def _tell(
    report: Report,
    ledger: Ledger,
    walk: Walk,
    reshard: Walk,
    lacking: dict[str, tuple[int, int]],
    built: float,
    resharded: float,
    pictures: int,
) -> None:
    table = report.table("Searches by state, ms.", ["state", "searches", "p50", "p95", "max"])
    for phase, took in ledger.took.items():
        table.rows.append([phase, len(took), *(f"{percentile(took, at):.0f}" for at in (50, 95, 100))])
    steps = report.table("Until both gateways followed, s.", ["step", "seconds"])
    steps.rows += [[name, f"{took:.2f}"] for name, took in walk.followed.items()]
    steps.rows += [[f"{name}, resharded", f"{took:.2f}"] for name, took in reshard.followed.items()]
    report.notes.append(
        f"{pictures:,} photographs were built into the candidate in {built:.0f} s beside the traffic, and into another "
        f"number of shards in {resharded:.0f} s with the embedder stopped."
    )
    missing = sum(one for one, _ in lacking.values())
    twice = sum(two for _, two in lacking.values())
    slowest = max(walk.followed.get("promote", 0.0), walk.followed.get("rollback", 0.0))
    before, beside = (percentile(ledger.took[phase], 95) for phase in ("before", "building"))
    report.target(
        "rollout: searches that failed", f"{len(ledger.failed)} of {ledger.searches:,}", "0", not ledger.failed
    )
    report.target("rollout: answers of one index with another's space", str(ledger.mixed), "0", ledger.mixed == 0)
    report.target("rollout: pictures that an index lacks", str(missing), "0", missing == 0)
    report.target("rollout: pictures twice in an index, or deleted", str(twice), "0", twice == 0)
    report.target("rollout: promotion and rollback, slowest gateway", f"{slowest:.2f} s", "<= 2 s", slowest <= 2)
    report.target(
        "rollout: p95 of searches beside the backfill", f"{beside / before:.2f} x", "<= 1.25 x", beside <= 1.25 * before
    )
    for one in ledger.failed[:5]:
        report.notes.append(f"Failed: {one}")
    report.save()


async def _measured(running: Cluster, given: argparse.Namespace, report: Report) -> int:
    pictures = photographs(given.pictures + 300)
    async with httpx.AsyncClient(base_url=running.rest, timeout=120) as client:
        ledger = Ledger({})
        await _fill(client, pictures[: given.pictures], ledger)
        async with _traffic(client, ledger, list(pictures[given.pictures :])) as traffic:
            walk = Walk(client, running.gateways)
            traffic.per_second = given.rate
            await asyncio.sleep(given.seconds)
            ledger.phase = "building"
            running.add_index("next", model=B, shards=2)
            await walk.start(model=B)
            await _remember_spaces(client, ledger)
            await _killed(running.indexer, given)
            built = await walk.reaches("shadow")
            for phase, steps in (
                ("shadow", []),
                ("canary 5 %", [("canary", {"share": 5, "force": True})]),
                ("canary 50 %", [("canary", {"share": 50})]),
                ("live", [("promote", {})]),
                ("back", [("rollback", {})]),
                ("live again", [("promote", {})]),
            ):
                for name, body in steps:
                    await walk.step(name, **body)
                ledger.phase = phase
                await _killed(running.worker if phase == "shadow" else running.gateways[1], given)
                await asyncio.sleep(given.seconds)
                print(phase, len(ledger.took.get(phase, ())), "searches;", len(ledger.failed), "failed", flush=True)
            traffic.per_second = 0.0
            await traffic.settled()
            lacking = {name: await _lacking(client, name, ledger) for name in ("main", "next")}
            await walk.step("retire", yes=True)
            running.add_index("wide", model=B, shards=3)
            reshard, egs = Walk(client, running.gateways), running.indexes["next"].egs
            await reshard.start(index="wide", shards=3)
            ledger.phase = "resharding"
            traffic.per_second = given.rate
            with running.supervisor.left_alone(egs):
                egs.server.stop()
                resharded = await reshard.reaches("shadow")
                await reshard.step("canary", share=100, force=True)
                await reshard.step("promote")
                await asyncio.sleep(given.seconds)
            traffic.per_second = 0.0
            await traffic.settled()
    _tell(report, ledger, walk, reshard, lacking, built, resharded, given.pictures)
    return int(any(one.met is False for one in report.targets))


if __name__ == "__main__":
    sys.exit(main())

"""Concurrent REST clients (Locust) against the whole cluster on this machine, at the highest steady rate that it holds.

    python -m loadtests.rest_load [--seconds 300] [--clients 50 100] [--shards 4] [--replicas 2] [--stored N] [--kept]

Real Kafka, PostgreSQL, MinIO and Triton, every service a process. Clients keep their pace whatever the answers take.
They ask again and again for the same pictures; unless --kept says so, no vector of a query is kept for that.
The rate is searched by halving between one that holds p95 < 200 ms without an error and one that does not, then held
for --seconds by each number of clients. Locust shares the machine. Ingest is timed first: uploads until all are
searchable, against the same pictures given to EGS directly. Needs loadtests/setup.
"""

import argparse
import asyncio
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import uvloop

from deploy.local import Cluster, Shape, cluster
from loadtests.bench.cgroup import rss_anon_mib
from loadtests.bench.figures import Report, percentile
from loadtests.bench.up import photographs
from loadtests.engine_peers import BENCH_PYTHON, ROOT
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from services.egs.client import ImageItem, RemoteEmbedder

T = TypeVar("T")

P95_MS = 200.0
TARGET_RATE, TARGET_INGEST = 50.0, 0.8
QUERY_PICTURES = 200
PROBE_SECONDS, WARM_UP_SECONDS = 15.0, 3.0
NONE_KEPT = {"OMMA_GATEWAY__KEPT_EMBEDDINGS_BYTES": "0"}
UPLOADS_AT_ONCE, RECEIPTS_AT_ONCE = 16, 256
FLAT_MIB, IDLE_SECONDS, SETTLE_SECONDS = 16.0, 20.0, 30.0
LOOKED_AT_WITHIN_SECONDS = 180.0
TICKS = os.sysconf("SC_CLK_TCK")
STAGE = re.compile(r'omma_search_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)')


@dataclass(frozen=True)
class Run:
    """What one run of Locust saw. cpu_ms: of each process, a search. stages_ms: the gateway's own, mean."""

    clients: int
    asked_rate: float
    rate: float
    took: Sequence[float]
    faults: Sequence[str]
    by_kind: dict[str, list[float]]
    cpu_ms: dict[str, float]
    stages_ms: dict[str, float]

    @property
    def holds(self) -> bool:
        return bool(self.took) and not self.faults and percentile(self.took, 95) < P95_MS

    def __str__(self) -> str:
        p50, p95 = (f"{percentile(self.took, share):.0f}" if self.took else "-" for share in (50, 95))
        seen = f"{self.rate:.1f}/s, p50 {p50}, p95 {p95} ms, {len(self.faults)} faults{self.faults[:1] or ''}"
        return f"{self.clients} clients at {self.asked_rate:.1f}/s: {seen}"


class Load:
    """Locust against a cluster that holds pictures."""

    def __init__(self, running: Cluster, folder: Path, ids: Sequence[str], *, words: bool) -> None:
        self._running, self._folder, self._ids, self._words = running, folder, ids, words

    def run(self, clients: int, rate: float, seconds: float) -> Run:
        file = self._folder / "told.json"
        given = {
            "OMMA_LOAD_PICTURES": str(self._folder / "queries"), "OMMA_LOAD_IDS": ",".join(self._ids),
            "OMMA_LOAD_RATE": str(rate), "OMMA_LOAD_CLIENTS": str(clients), "OMMA_LOAD_WORDS": str(int(self._words)),
            "OMMA_LOAD_WARM_UP": str(WARM_UP_SECONDS), "OMMA_LOAD_TOLD": str(file),
        }  # fmt: skip
        spent, stages = cpu_seconds(self._running), self._stages()
        subprocess.run(
            [BENCH_PYTHON, "-m", "locust", "-f", "loadtests/rest_clients.py", "--headless", "--only-summary",
             "--users", str(clients), "--spawn-rate", str(clients), "--run-time", f"{seconds + WARM_UP_SECONDS:.0f}s",
             "--host", self._running.rest, "--loglevel", "ERROR", "--exit-code-on-error", "0"],
            env={**os.environ, **given}, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        told = json.loads(file.read_text())
        after, stages_after = cpu_seconds(self._running), self._stages()
        searches = max(1, stages_after["search"][1] - stages["search"][1])
        by_kind: dict[str, list[float]] = {}
        for _, took, kind, _ in told:
            by_kind.setdefault(kind, []).append(took)
        return Run(
            clients, rate, len(told) / seconds, [took for _, took, _, _ in told], [one[3] for one in told if one[3]],
            by_kind, {name: (after[name] - spent[name]) * 1e3 / searches for name in spent},
            {
                name: (total - stages.get(name, (0, 0))[0]) * 1e3 / (count - stages.get(name, (0, 0))[1])
                for name, (total, count) in stages_after.items() if count > stages.get(name, (0, 0))[1]
            },
        )  # fmt: skip

    def highest(self, clients: int) -> float:
        """Searches a second: the most that held, found by doubling and then halving to within a tenth."""
        low, high, rate = 0.0, math.inf, 8.0
        while high / max(low, 1.0) > 1.12:
            run = self.run(clients, rate, PROBE_SECONDS)
            print(f"  {run}", flush=True)
            if run.holds:
                low = rate
            else:
                high = rate
            rate = 2 * low if math.isinf(high) else (low + high) / 2
            if high <= 1:
                break
        return max(low, 1.0)

    def _stages(self) -> dict[str, tuple[float, float]]:
        """Sum of seconds and count by stage, of the gateway's life."""
        text = httpx.get(f"{self._running.rest}/metrics").raise_for_status().text
        found: dict[str, dict[str, float]] = {}
        for what, stage, value in STAGE.findall(text):
            found.setdefault(stage, {})[what] = float(value)
        return {stage: (one["sum"], one["count"]) for stage, one in found.items()} or {"search": (0.0, 0.0)}


def processes(running: Cluster) -> dict[str, int]:
    """pid by name: the services, and Triton's own children are counted with it."""
    pids = {one.name: one.server.pid for one in running.services}
    if running.triton is not None and running.triton.own is not None:
        pids["triton"] = running.triton.own.pid
    return pids


def cpu_seconds(running: Cluster) -> dict[str, float]:
    """Of the processor by process, since each started; with its children."""
    return {name: sum(map(_cpu_seconds, (pid, *_children(pid)))) for name, pid in processes(running).items()}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _children(child)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--rate", type=float, help="searches a second, instead of the highest that holds")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--stored", type=int, default=1_000)
    parser.add_argument("--model", default="omma-mini")
    parser.add_argument("--models-dir", default="models")
    parser.add_argument("--no-triton", action="store_true")
    parser.add_argument(
        "--kept", action="store_true", help="vectors of what was sought before, as the gateway's default is"
    )
    given = parser.parse_args()
    report = Report("rest_load", "python -m loadtests.rest_load")
    shape = Shape(
        shards=given.shards, replicas=given.replicas, model=given.model, models_dir=given.models_dir,
        triton=not given.no_triton, environment={"OMMA_LOG_LEVEL": "warning", **({} if given.kept else NONE_KEPT)},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name, cluster(shape) as running:
        folder = Path(name)
        pictures = photographs(given.stored + QUERY_PICTURES)
        (folder / "queries").mkdir()
        for at, one in enumerate(pictures[given.stored :]):
            (folder / "queries" / f"{at}.jpg").symlink_to(one.resolve())
        words = uvloop.run(_knows_words(running.egs.address))
        ids = _ingested(report, running, [one.read_bytes() for one in pictures[: given.stored]])
        load = Load(running, folder, ids, words=words)
        _idle(report, running)
        load.run(given.clients[0], 5.0, 5.0)
        rate = given.rate or load.highest(given.clients[0])
        _held(report, running, load, given.clients, rate, given.seconds)
    report.notes.append(
        f"{given.shards} shards x {given.replicas} replicas, {given.model} "
        f"{'in EGS' if given.no_triton else 'on Triton'}; {given.stored} photographs stored. Of ten searches six are "
        "by a photograph, one by a crop of one, two by a stored picture, one by words."
    )
    report.save()
    return int(any(one.met is False for one in report.targets))


def _idle(report: Report, running: Cluster) -> None:
    """What each process costs while nobody asks and nothing comes."""
    _worker_rests(running)
    before, started = cpu_seconds(running), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    seconds = time.perf_counter() - started
    shares = {name: (spent - before[name]) / seconds for name, spent in cpu_seconds(running).items()}
    table = report.table(f"Processor while idle, over {IDLE_SECONDS:.0f} s, of one core.", ["process", "share"])
    table.rows += [[name, f"{share:.1%}"] for name, share in shares.items()]
    own = {name: share for name, share in shares.items() if name != "triton"}
    most, name = max((share, name) for name, share in own.items())
    print(f"  idle: {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}", flush=True)
    report.target("rest_load: an idle process, the busiest", f"{most:.1%} ({name})", "< 1% of a core", most < 0.01)


def _worker_rests(running: Cluster) -> None:
    """Pictures that came in are looked at twice, by the worker, for a while after."""
    deadline, spent = time.monotonic() + LOOKED_AT_WITHIN_SECONDS, math.inf
    while spent > 0.25 and time.monotonic() < deadline:
        before = cpu_seconds(running)["worker"]
        time.sleep(5)
        spent = cpu_seconds(running)["worker"] - before


def _held(report: Report, running: Cluster, load: Load, clients: Sequence[int], rate: float, seconds: float) -> None:
    """The rate, held by each number of clients, lowered where one does not hold it."""
    table = report.table(
        f"Held for {seconds:.0f} s, latency at the client in ms.",
        ["clients", "searches/s", "p50", "p95", "p99", "faults"],
    )
    load.run(max(clients), rate, SETTLE_SECONDS)  # every connection and every kind of search once: warmth is no growth
    before = _memory(running)
    runs = []
    for count in clients:
        for share in (1.0, 0.8, 0.6):
            run = load.run(count, share * rate, seconds)
            print(f"  {run}", flush=True)
            took = [f"{percentile(run.took, one):.0f}" for one in (50, 95, 99)] if run.took else ["-"] * 3
            table.rows.append([count, f"{run.rate:.1f}", *took, len(run.faults)])
            if run.holds:
                break
        runs.append(run)
        report.target(
            f"rest_load: {count} clients, steady rate with p95 < {P95_MS:.0f} ms and no fault",
            f"{run.rate:.1f}/s" if run.holds else "none", f">= {TARGET_RATE:.0f}/s",
            run.holds and run.rate >= TARGET_RATE * 0.99,
        )  # fmt: skip
    after = _memory(running)
    last = runs[-1]
    kinds = report.table("By kind of search, ms.", ["", "share", "p50", "p95"])
    for kind, took in sorted(last.by_kind.items()):
        share = f"{len(took) / len(last.took):.0%}"
        kinds.rows.append([kind, share, f"{percentile(took, 50):.0f}", f"{percentile(took, 95):.0f}"])
    stages = report.table("Where the time of a search goes inside the gateway, ms, mean.", ["stage", "ms"])
    stages.rows += [[name, f"{ms:.1f}"] for name, ms in sorted(last.stages_ms.items(), key=lambda one: -one[1])]
    spent = report.table(
        "Processor time a search, and own memory (RssAnon) before and after all runs.",
        ["process", "CPU ms", "MiB", "MiB after"],
    )
    for name, ms in last.cpu_ms.items():
        spent.rows.append([name, f"{ms:.2f}", f"{before[name]:.0f}", f"{after[name]:.0f}"])
    spent.rows.append(
        ["all", f"{sum(last.cpu_ms.values()):.2f}", f"{sum(before.values()):.0f}", f"{sum(after.values()):.0f}"]
    )
    grown, name = max((after[name] - before[name], name) for name in before)
    report.target(
        "rest_load: memory flat, most that a process grew",
        f"{grown:.0f} MiB ({name})",
        f"<= {FLAT_MIB:.0f} MiB",
        grown <= FLAT_MIB,
    )


def _memory(running: Cluster) -> dict[str, float]:
    return {name: sum(rss_anon_mib(one) for one in (pid, *_children(pid))) for name, pid in processes(running).items()}


def _ingested(report: Report, running: Cluster, pictures: Sequence[bytes]) -> list[str]:
    """Upload them, wait until each can be found, and tell the rate against EGS's own. Returns their ids."""
    bare = uvloop.run(_embedded(running.egs.address, pictures))
    started = time.perf_counter()
    with httpx.Client(base_url=running.rest, timeout=120) as client, ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        said = list(
            pool.map(lambda one: client.post("/images", files={"image": one}).raise_for_status().json(), pictures)
        )
        receipts = [one["receipt"] for one in said]
        for some in _batched(receipts, RECEIPTS_AT_ONCE):
            while True:
                asked = {"image_id": said[0]["id"], "receipts": list(some), "timeout_ms": 60_000, "k": 1}
                answer = client.post("/search", json=asked).raise_for_status().json()
                if "receipt_pending" not in answer["degraded"]:
                    break
    rate = len(pictures) / (time.perf_counter() - started)
    table = report.table(f"Ingest of {len(pictures)} photographs, a second.", ["", "pictures/s"])
    table.rows.append(["EGS alone, given the same pictures", f"{bare:.1f}"])
    table.rows.append([f"POST /images, {UPLOADS_AT_ONCE} at once, until all are searchable", f"{rate:.1f}"])
    print(f"  {bare:.1f} embedded, {rate:.1f} ingested a second", flush=True)
    report.target(
        "rest_load: ingest, of the bare embedding rate",
        f"{rate / bare:.2f}x",
        f">= {TARGET_INGEST}x",
        rate >= TARGET_INGEST * bare,
    )
    return [str(one["id"]) for one in said]


def _batched(values: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), count):
        yield values[start : start + count]


async def _knows_words(egs: str) -> bool:
    embedder = await RemoteEmbedder.connect(open_channel(egs), Deadline.after(30))
    await embedder.close()
    return embedder.has_text_tower


async def _embedded(egs: str, pictures: Sequence[bytes]) -> float:
    """Pictures a second of EGS, given 16 at a time by four callers, with a thumbnail as the indexer asks for."""
    embedder = await RemoteEmbedder.connect(open_channel(egs), Deadline.after(30))
    left = _batched(pictures, 16)

    async def caller() -> None:
        for some in left:
            for one in await embedder.embed(
                [ImageItem(content, thumbnail=True) for content in some], Deadline.after(60)
            ):
                if isinstance(one, Exception):
                    raise one

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(caller())
    took = time.perf_counter() - started
    await embedder.close()
    return len(pictures) / took


if __name__ == "__main__":
    sys.exit(main())

"""One shard that holds a lot: from the log onto an empty disk, at rest, started again, and what a search costs it.

    python -m loadtests.large [small|real|million|ten-million] [--queries N] [--without raw]

Processor time of a search is that of a process with one thread, k=50, at the cheapest effort that has recall@10 of
0.95, alone and in batches of 32; beside it raw FAISS with the same codebook, lists probed and candidates, rescored from
float16 in memory, and nothing around it. Turns are taken round by round.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np

from loadtests.bench import engines, vectors
from loadtests.bench.cgroup import forget, rss_anon_mib
from loadtests.bench.figures import Report, spread
from loadtests.bench.shard_server import ShardServer, data_folder
from loadtests.peers.libraries import RawFaiss
from omma.hits import ShardHits
from omma.identity import DEFAULT_TENANT
from services.nn_shard.engine import Codebook, Engine, EngineSettings, SearchOptions
from services.nn_shard.engine.manifest import read_manifest

K = 50
RECALL = 0.95
EFFORTS = range(1, 9)
TOGETHER = 32
ROUNDS = 5
HOURS = 3 * 3_600.0
Search = Callable[[vectors.Float32], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="ten-million", choices=vectors.NAMES)
    parser.add_argument("--queries", type=int, default=512)
    parser.add_argument("--without", nargs="*", default=[], choices=["raw"])
    given = parser.parse_args()
    data = vectors.load(given.data_set)
    report = Report(f"large_{given.data_set}", f"python -m loadtests.large {given.data_set}")
    folder = data_folder(data)
    if not (folder / "shards" / "whole").exists():
        _replayed(report, data)
        (folder / "shards" / "whole").touch()
    _started(report, data)
    with _opened(folder, data) as engine:
        _searched(report, data, engine, given.queries, raw="raw" not in given.without)
    report.save()
    return int(any(one.met is False for one in report.targets))


def _replayed(report: Report, data: vectors.DataSet) -> None:
    """The whole log onto an empty disk, sealed and merged as it grows."""
    rows = len(data.base)
    server = ShardServer(data, OMMA_SHARD__SNAPSHOT_SECONDS="0")
    try:
        server.wait(rows, sealed=False, seconds=HOURS)
        seconds = time.perf_counter() - server.started
        ready_mib = rss_anon_mib(server.pid)
        server.wait(rows, sealed=True, seconds=HOURS)
        at_rest = time.perf_counter() - server.started
        table = report.table(f"{rows:,} vectors of 256 dimensions from the log onto an empty disk.", ["", ""])
        table.rows.append(["ready after", f"{seconds:,.0f} s, {rows / seconds:,.0f} vectors a second"])
        table.rows.append(["sealed and merged after", f"{at_rest:,.0f} s"])
        table.rows.append(
            ["own memory (RssAnon) when ready / at rest", f"{ready_mib:,.0f} / {rss_anon_mib(server.pid):,.0f} MiB"]
        )
        table.rows.append(["segments", server.stats().segments])
        report.target(
            f"{report.measure}: replay of the log", f"{rows / seconds:,.0f}/s", ">= 50,000/s", rows / seconds >= 50_000
        )
    finally:
        server.close()


def _started(report: Report, data: vectors.DataSet) -> None:
    """From its own files, the page cache cold."""
    rows = len(data.base)
    forget(data_folder(data))
    server = ShardServer(data, OMMA_SHARD__SNAPSHOT_SECONDS="0")
    try:
        server.wait(rows, sealed=False)
        seconds = time.perf_counter() - server.started
        own = rss_anon_mib(server.pid) * 2**20 / rows
    finally:
        server.close()
    report.target(f"{report.measure}: ready from its own files", f"{seconds:.1f} s", "<= 5 s", seconds <= 5)
    report.target(f"{report.measure}: own memory a row, beside codes", f"{own:.0f} B", "<= 60 B", own <= 60)


@contextlib.contextmanager
def _opened(folder: Path, data: vectors.DataSet) -> Iterator[Engine]:
    """The shard's engine in this process."""
    of_shard = next(path.parent for path in (folder / "shards").rglob("manifest.json") if _is_of(path.parent))
    codebook = engines.trained(data)
    engine = Engine.open(
        of_shard, dim=data.base.shape[1], space=engines.SPACE, index=engines.INDEX, settings=EngineSettings(),
        codebook=codebook, verified=True,
    )  # fmt: skip
    try:
        yield engine
    finally:
        engine.close()


def _is_of(folder: Path) -> bool:
    manifest = read_manifest(folder)
    return manifest is not None and manifest.index == engines.INDEX


def _searched(report: Report, data: vectors.DataSet, engine: Engine, queries: int, *, raw: bool) -> None:
    counts, codebook = engine.counts(), engine.codebook
    assert codebook is not None
    faiss.omp_set_num_threads(1)
    asked = data.queries[:queries]
    for effort in EFFORTS:
        options = SearchOptions(DEFAULT_TENANT, k=K, effort=effort)
        answers = [
            one for at in range(0, queries, TOGETHER) for one in _answers(engine, options, asked[at : at + TOGETHER])
        ]
        recall = data.recall_at_10(np.stack([one.hits.ids - 1 for one in answers]))
        lists, candidates = answers[0].lists_probed, max(one.candidates for one in answers)
        print(f"  effort {effort}: {lists} lists, {candidates} candidates, recall@10 {recall:.4f}", flush=True)
        if recall >= RECALL:
            break
    contestants: dict[str, Search] = {
        "omma": lambda some: np.stack([one.hits.ids for one in _answers(engine, options, some)])
    }
    recalls = {"omma": recall}
    if raw:
        contestants["faiss"], recalls["faiss"] = _raw(data, codebook, lists, candidates, asked)
    costs = _costs(contestants, asked)
    table = report.table(
        f"{counts.live:,} rows in {counts.segments} segments, {counts.head_rows:,} in the head, k={K}, {lists} of "
        f"{codebook.nlist} lists, {candidates} candidates: processor time a search, us, median (min … max) of rounds.",
        ["", "recall@10", "alone", f"in {TOGETHER}s"],
    )
    for name in contestants:
        table.rows.append([name, f"{recalls[name]:.3f}", spread(costs[name, 1]), spread(costs[name, TOGETHER])])
    if raw:
        for size, told in ((1, "alone"), (TOGETHER, f"in {TOGETHER}s")):
            ratio = statistics.median(a / b for a, b in zip(costs["omma", size], costs["faiss", size], strict=True))
            report.target(
                f"{report.measure}: a search {told}, over raw FAISS", f"{ratio:.2f}x", "<= 1.15x", ratio <= 1.15
            )


def _answers(engine: Engine, options: SearchOptions, some: vectors.Float32) -> list[ShardHits]:
    return engine.search(some, options, time.monotonic() + 60)


def _raw(
    data: vectors.DataSet, codebook: Codebook, lists: int, candidates: int, asked: vectors.Float32
) -> tuple[Search, float]:
    folder = vectors.cache() / data.name / "faiss"
    folder.mkdir(exist_ok=True)
    content = engines.faiss_bytes(codebook)
    if not (folder / "codebook.faiss").exists() or (folder / "codebook.faiss").read_bytes() != content:
        (folder / "codebook.faiss").write_bytes(content)
    raw = RawFaiss()
    raw.build(data.base, folder)
    raw.use((lists, candidates), K)
    return lambda some: raw.search_all(some, K), data.recall_at_10(raw.search_all(asked, K))


def _costs(contestants: dict[str, Search], asked: vectors.Float32) -> dict[tuple[str, int], list[float]]:
    """Microseconds of the processor a search, by contestant and batch, of each round."""
    costs: dict[tuple[str, int], list[float]] = {}
    for at in range(ROUNDS + 1):
        for size in (1, TOGETHER):
            for name, search in contestants.items():
                began = time.process_time()
                for start in range(0, len(asked), size):
                    search(asked[start : start + size])
                if at:  # the first round warms up
                    costs.setdefault((name, size), []).append((time.process_time() - began) / len(asked) * 1e6)
    return costs


if __name__ == "__main__":
    sys.exit(main())

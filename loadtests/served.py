"""The shard service against a Weaviate server: gRPC, bare stubs, 1, 8 and 64 clients in a process of their own.

    python -m loadtests.served [small|real|million] [--rounds N] [--seconds S] [--without weaviate]

Requests are encoded before and answers decoded after the clock runs (loadtests/generator, which needs Go), so that the
generator takes as little as it can of the cores that it shares with the server. Same vectors, recall@10 >= 0.95 for
both at their cheapest setting; two replicas of the shard on this machine, between which clients take turns; and
SearchService of a gateway with one shard, on real parts, with all that a gateway does for an answer. Then a hundred
tenants' filters mixed, and the shard again in a memory cgroup in which, beside its own memory and PQ codes, only a
fifth of the originals fits.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from loadtests.bench import engines, vectors, wire
from loadtests.bench.cgroup import MemoryCgroup, forget, rss_anon_mib
from loadtests.bench.figures import Report, percentile, spread
from loadtests.bench.own_space import INDEX, OwnSpace, own_space
from loadtests.bench.shard_server import ShardServer, data_folder
from loadtests.bench.weaviate_server import BINARY, WeaviateServer
from loadtests.engine_peers import BENCH_PYTHON, RECALL, ROOT

CLIENTS = (1, 8, 64)
PLAIN, FILTERED, TOGETHER = "plain", "filtered", "together"
"""Kinds of requests: of one query; with a tenant's filter; of QUERIES_A_CALL, which only a shard takes."""
QUERIES_A_CALL = 16
_TOLD = {PLAIN: "", FILTERED: ", 100 tenants mixed", TOGETHER: f", {QUERIES_A_CALL} queries a call"}
TWO_REPLICAS = "omma, two replicas"
GATEWAY = "omma, a gateway before one shard"
GENERATOR = Path(os.environ.get("OMMA_BENCH_GENERATOR", Path.home() / ".cache/omma/bin/omma-load"))
K = 10
EFFORTS = (1, 2, 3, 4, 5, 6)
EFS = (10, 12, 16, 20, 24, 32, 48, 64, 100)


class Contestant:
    """Running servers that clients take turns between, and how they are asked."""

    def __init__(
        self, name: str, data: vectors.DataSet, server: ShardServer | WeaviateServer | OwnSpace, *others: ShardServer
    ) -> None:
        self.name, self.server, self._data = name, server, data
        self.servers = (server, *others)
        self.kind = {WeaviateServer: "weaviate", OwnSpace: "gateway"}.get(type(server), "omma")
        self.setting = 0
        self.kinds = {"weaviate": (PLAIN, FILTERED), "gateway": (PLAIN,)}.get(self.kind, (PLAIN, FILTERED, TOGETHER))
        self.rates: dict[tuple[int, str], list[float]] = {}
        self.latencies: dict[tuple[int, str], list[float]] = {}
        self.recall: dict[str, float] = {}

    def settle(self, truth_of_tenants: vectors.Int64) -> None:
        """Take the cheapest setting that reaches the recall, and tell its recall under filters."""
        for setting in EFS if self.kind == "weaviate" else EFFORTS:
            self.take(setting)
            self.recall[PLAIN] = self._data.recall_at_10(self._found(PLAIN))
            print(f"  {self.name} at {setting}: recall {self.recall[PLAIN]:.4f}", flush=True)
            if self.recall[PLAIN] >= RECALL:
                break
        if FILTERED in self.kinds:
            of_tenants = vectors.DataSet("", self._data.base, self._data.queries, truth_of_tenants)
            self.recall[FILTERED] = of_tenants.recall_at_10(self._found(FILTERED))
        if TOGETHER in self.kinds:
            self.recall[TOGETHER] = self._data.recall_at_10(self._found(TOGETHER))

    def take(self, setting: int) -> None:
        """setting: effort or ef."""
        self.setting = setting
        if isinstance(self.server, WeaviateServer):
            self.server.use(setting)
        index, space = engines.INDEX, engines.SPACE
        if isinstance(self.server, OwnSpace):
            index, space = INDEX, self.server.space.id
        for kind in self.kinds:
            given = {
                "data_set": self._data.name, "k": K, "filtered": kind == FILTERED, "together": _queries_a_call(kind),
                "index": index, "space": space, "effort": setting,
            }  # fmt: skip
            self._wire("encode", json.dumps(given), self._file("requests", kind))

    def measure(self, clients: int, seconds: float, kind: str = PLAIN) -> None:
        told = json.loads(self._generate(kind, "-clients", str(clients), "-seconds", str(seconds)))
        key = clients, kind
        self.rates.setdefault(key, []).append(len(told["latencies_us"]) * _queries_a_call(kind) / told["seconds"])
        self.latencies.setdefault(key, []).extend(told["latencies_us"])

    def _found(self, kind: str) -> vectors.Int64:
        """int64[queries, k]: one pass over the queries."""
        answers = self._file("answers", kind)
        self._generate(kind, "-answers", str(answers))
        return _padded(json.loads(self._wire("decode", "{}", answers)))

    def _generate(self, kind: str, *options: str) -> str:
        return _output(
            [GENERATOR, "-address", ",".join(one.address for one in self.servers), "-method", wire.METHODS[self.kind],
             "-requests", str(self._file("requests", kind)), *options]
        )  # fmt: skip

    def _wire(self, what: str, given: str, file: Path) -> str:
        python = BENCH_PYTHON if self.kind == "weaviate" else Path(sys.executable)
        return _output([python, "-m", "loadtests.bench.wire", what, self.kind, given, str(file)])

    def _file(self, what: str, kind: str) -> Path:
        return vectors.cache() / self._data.name / f"{self.kind}-{kind}.{what}"


def _queries_a_call(kind: str) -> int:
    return QUERIES_A_CALL if kind == TOGETHER else 1


def _output(command: list[str | Path]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="real", choices=vectors.NAMES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--without", nargs="*", default=[], choices=["weaviate", "cgroup", "replica", "gateway"])
    given = parser.parse_args()
    data = vectors.load(given.data_set)
    report = Report(f"served_{given.data_set}", f"python -m loadtests.served {given.data_set}")
    warm_up_folder(data)
    with contextlib.ExitStack() as stack:
        copied = None if "replica" in given.without else _copied(data, stack)
        shard = ShardServer(data)
        stack.callback(shard.close)
        shard.wait(len(data.base), sealed=True)
        contestants = [Contestant("omma", data, shard)]
        if "weaviate" not in given.without and BINARY.exists():
            weaviate = WeaviateServer(data, BENCH_PYTHON)
            stack.callback(weaviate.close)
            contestants.append(Contestant("weaviate", data, weaviate))
        if copied is not None:
            second = ShardServer(data, folder=copied)
            stack.callback(second.close)
            second.wait(len(data.base), sealed=True)
            contestants.append(Contestant(TWO_REPLICAS, data, shard, second))
        if "gateway" not in given.without:
            contestants.append(Contestant(GATEWAY, data, stack.enter_context(own_space(data))))
        _run(contestants, data, given.rounds, given.seconds)
        _tell(report, contestants)
    if "cgroup" not in given.without:
        _in_cgroup(report, data, contestants[0], given.rounds, given.seconds)
    report.save()
    return int(any(one.met is False for one in report.targets))


def warm_up_folder(data: vectors.DataSet) -> None:
    """Let the shard seal and merge what the log holds, and leave a checkpoint: what is measured is mid-life."""
    server = ShardServer(data, OMMA_SHARD__CHECKPOINT_SECONDS="2")
    server.wait(len(data.base), sealed=True)
    server.close()


def _copied(data: vectors.DataSet, stack: contextlib.ExitStack) -> Path:
    """The data folder of another replica."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="omma-replica-"))) / "data"
    return Path(shutil.copytree(data_folder(data), folder))


def _run(contestants: list[Contestant], data: vectors.DataSet, rounds: int, seconds: float) -> None:
    of_tenants = _truth_of_tenants(data)
    for one in contestants:
        one.settle(of_tenants)
    for _ in range(rounds):
        for clients in CLIENTS:
            for one in contestants:
                one.measure(clients, seconds)
                if TOGETHER in one.kinds:
                    one.measure(clients, seconds, TOGETHER)
        for one in contestants:
            if FILTERED in one.kinds:
                one.measure(64, seconds, FILTERED)


def _tell(report: Report, contestants: list[Contestant]) -> None:
    table = report.table(
        "gRPC, bare stubs: queries a second as median (min … max) over rounds, latency in ms over all of them.",
        ["", "clients", "recall@10", "queries/s", "p50", "p99", "RssAnon MiB"],
    )
    memory = {one.name: sum(rss_anon_mib(server.pid) for server in one.servers) for one in contestants}
    for one in contestants:
        for (clients, kind), rates in one.rates.items():
            took = one.latencies[clients, kind]
            table.rows.append([
                f"{one.name}, setting {one.setting}", f"{clients}{_TOLD[kind]}",
                f"{one.recall[kind]:.3f}", spread(rates), f"{percentile(took, 50) / 1e3:.2f}",
                f"{percentile(took, 99) / 1e3:.2f}", f"{memory[one.name]:,.0f}",
            ])  # fmt: skip
    name, omma = report.measure, contestants[0]

    def rate(one: Contestant, clients: int, kind: str = PLAIN) -> float:
        return statistics.median(one.rates[clients, kind])

    reached = omma.recall[PLAIN] >= RECALL
    by_name = {one.name: one for one in contestants}
    if (peer := by_name.get("weaviate")) is not None:
        for clients in CLIENTS:
            for kind, least in ((PLAIN, 1), (TOGETHER, 3)):
                ratio = rate(omma, clients, kind) / rate(peer, clients)
                report.target(
                    f"{name}: queries/s at {clients} clients{_TOLD[kind]}, over Weaviate's", f"{ratio:.2f}x",
                    f">= {least}x", reached and ratio >= least,
                )  # fmt: skip
        if (gateway := by_name.get(GATEWAY)) is not None:
            ratio = rate(gateway, 8) / rate(peer, 8)
            report.target(
                f"{name}: SearchService of a gateway with one shard, 8 clients, over Weaviate's", f"{ratio:.2f}x",
                ">= 0.5x", gateway.recall[PLAIN] >= RECALL and ratio >= 0.5,
            )  # fmt: skip
        ratio = memory["omma"] / memory["weaviate"]
        report.target(f"{name}: RssAnon, over Weaviate's", f"{ratio:.2f}x", "<= 0.25x", ratio <= 0.25)
    ratio = rate(omma, 64) / rate(omma, 1)
    report.target(f"{name}: 64 clients over one", f"{ratio:.2f}x", ">= 3x", reached and ratio >= 3)
    ratio = rate(omma, 64, FILTERED) / rate(omma, 64)
    report.target(
        f"{name}: 100 tenants' filters mixed, over unfiltered, 64 clients", f"{ratio:.2f}x", ">= 0.5x",
        omma.recall[FILTERED] >= RECALL and ratio >= 0.5,
    )  # fmt: skip


def _in_cgroup(report: Report, data: vectors.DataSet, free: Contestant, rounds: int, seconds: float) -> None:
    """The same run where the originals cannot stay in memory."""
    server = ShardServer(data)
    server.wait(len(data.base), sealed=True)
    own_mib = rss_anon_mib(server.pid)
    server.close()
    originals = data.base.size * 2
    beside = sum(
        path.stat().st_size for path in server.folder.rglob("segments/*/*") if path.name in ("codes", "columns")
    )
    limit = int(own_mib * 2**20 * 1.25) + beside + originals // 5
    try:
        group = MemoryCgroup(limit)
    except OSError as error:
        report.notes.append(f"No memory cgroup can be made here ({error.strerror}): that run was left out.")
        return
    forget(server.folder)
    shard = ShardServer(data, group=group)
    served = Contestant("omma in a cgroup", data, shard)
    try:
        shard.wait(len(data.base), sealed=True)
        served.take(free.setting)
        served.recall = free.recall
        for _ in range(rounds):
            for clients in CLIENTS:
                served.measure(clients, seconds)
        _tell_cgroup(report, served, free, limit)
    finally:
        shard.close()
        time.sleep(0.2)
        group.close()


def _tell_cgroup(report: Report, served: Contestant, free: Contestant, limit: int) -> None:
    table = report.table(
        f"The shard in a memory cgroup of {limit / 2**20:,.0f} MiB: its own, codes, columns, a fifth of the originals.",
        ["clients", "queries/s", "p50 ms", "p99 ms", "of the free run"],
    )
    for (clients, _), rates in served.rates.items():
        took = served.latencies[clients, PLAIN]
        share = statistics.median(rates) / statistics.median(free.rates[clients, PLAIN])
        table.rows.append(
            [
                clients,
                spread(rates),
                f"{percentile(took, 50) / 1e3:.2f}",
                f"{percentile(took, 99) / 1e3:.2f}",
                f"{share:.2f}",
            ]
        )
    weaviate = [one for one in report.targets if "RssAnon" in one.what]
    figure = f"answers with {limit / 2**20:,.0f} MiB in all, {rss_anon_mib(served.server.pid):,.0f} MiB RssAnon"
    report.target(
        f"{report.measure}: inside a cgroup with a fifth of the originals",
        figure,
        "runs; a quarter of Weaviate's memory",
        weaviate[0].met if weaviate else None,
    )


def _truth_of_tenants(data: vectors.DataSet) -> vectors.Int64:
    """int64[queries, 10]: the exact answer to query i among the rows of tenant i % 100."""
    base = np.asarray(data.base)
    truth = np.empty((len(data.queries), 10), np.int64)
    for tenant in range(100):
        rows = np.flatnonzero((np.arange(len(base)) + 1) % 100 == tenant)
        asked = np.arange(tenant, len(data.queries), 100)
        truth[asked] = rows[vectors.exact(base[rows], data.queries[asked], 10)]
    return truth


def _padded(found: list[list[int]]) -> vectors.Int64:
    rows = np.full((len(found), K), -1, np.int64)
    for at, ids in enumerate(found):
        rows[at, : len(ids)] = ids
    return rows


if __name__ == "__main__":
    os.chdir(Path(ROOT))
    sys.exit(main())

"""The engine against its peers: in process, one client, one query at a time, same vectors, same recall.

    python -m loadtests.engine_peers [small|real|million] [--only NAME …] [--rounds N] [--seconds S]

Each contestant lives in its own process and is asked at its cheapest setting that reaches the recall; contestants take
turns, round after round, so that a slow minute of the machine hits all of them. Ends 1 when a target is missed.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from loadtests.bench import vectors
from loadtests.bench.figures import Report, spread
from loadtests.peers.worker import PEERS

RECALL = 0.95
DATABASES = ("chroma", "lancedb", "milvus-lite")
ROOT = Path(__file__).resolve().parents[1]
BENCH_PYTHON = Path(os.environ.get("OMMA_BENCH_VENV", Path.home() / ".cache/omma/bench-venv")) / "bin" / "python"


class Contestant:
    """A worker process, and what it has measured."""

    def __init__(self, name: str, data_set: str) -> None:
        self.name = name
        self.rates: list[float] = []
        self.recall = 0.0
        self.described = ""
        self.rss_mib = 0.0
        self.as_raw: list[int] | None = None
        python = sys.executable if name == "omma" else str(BENCH_PYTHON)
        if not Path(python).exists():
            raise SystemExit(f"{name} is not installed: run loadtests/setup, or ask for --only omma.")
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        self._process = subprocess.Popen(
            [python, "-m", "loadtests.peers.worker", name, data_set],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        self.built = self._ask(do="build")

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: see its words above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def settle(self, setting: Any = None) -> None:
        """Take this setting, or the cheapest that reaches the recall over all queries."""
        offered = [setting] if setting is not None else self.built["settings"]
        for one in offered:
            # A look at a fifth of the queries spares the settings that are far off.
            if one != offered[-1] and self._ask(do="recall", setting=one, queries=200)["recall"] < RECALL - 0.02:
                continue
            answer = self._ask(do="recall", setting=one, queries=1_000)
            self.as_raw = answer.get("as_raw")
            self.recall, self.described = answer["recall"], answer["described"]
            print(f"  {self.name}: {self.described}: recall {self.recall:.4f}, {answer['rate']:,.0f}/s", flush=True)
            if self.recall >= RECALL:
                return

    def round(self, seconds: float) -> None:
        answer = self._ask(do="round", seconds=seconds)
        self.rates.append(answer["rate"])
        self.rss_mib = answer["rss"]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="real", choices=vectors.NAMES)
    parser.add_argument("--only", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    report = Report(f"engine_{given.data_set}", f"python -m loadtests.engine_peers {given.data_set}")
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Contestant] = {}
        for name in sorted(given.only, key=lambda one: one != "omma"):
            print(f"building {name} …", flush=True)
            try:
                contestants[name] = Contestant(name, given.data_set)
            except RuntimeError as error:
                report.notes.append(f"{name} could not be measured: {error}")
                continue
            stack.callback(contestants[name].close)
            settled = contestants.get("omma")
            contestants[name].settle(settled.as_raw if name == "faiss" and settled else None)
        for at in range(given.rounds + 1):
            for one in contestants.values():
                one.round(given.seconds)
                if at == 0:
                    one.rates.clear()  # The first round warms up.
    _tell(report, contestants)
    report.save()
    return int(any(one.met is False for one in report.targets))


def _tell(report: Report, contestants: dict[str, Contestant]) -> None:
    table = report.table(
        "Queries a second, one client in process: median (min … max) over rounds.",
        ["", "index and setting", "recall@10", "queries/s", "RssAnon MiB"],
    )
    for one in sorted(contestants.values(), key=lambda one: -statistics.median(one.rates)):
        table.rows.append([one.name, one.described, f"{one.recall:.3f}", spread(one.rates), f"{one.rss_mib:,.0f}"])
    omma = contestants.get("omma")
    if omma is None:
        return
    own = statistics.median(omma.rates)
    valid = omma.recall >= RECALL
    databases = [statistics.median(contestants[name].rates) for name in DATABASES if name in contestants]
    if databases:
        ratio = own / max(databases)
        report.target(f"{report.measure}: best database", f"{ratio:.1f}x", ">= 6x", valid and ratio >= 6)
    if "faiss" in contestants:
        # Round by round: both had the same minute.
        ratio = statistics.median(a / b for a, b in zip(omma.rates, contestants["faiss"].rates, strict=True))
        report.target(f"{report.measure}: raw FAISS", f"{ratio:.2f}x", ">= 0.9x", valid and ratio >= 0.9)


if __name__ == "__main__":
    sys.exit(main())

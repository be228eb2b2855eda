"""What searches of a shard wait for while it takes in rows, seals and merges: p99 beside that against p99 at rest.

    python -m loadtests.merging [small|real|million] [--rate ROWS] [--share S]

A shard on real Kafka with the data set in it, asked by one caller without a pause; then the same while a share of its
rows comes once more at a rate of its own, so that segments are sealed, die in part and are merged.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

import grpc
import numpy as np

from loadtests.bench import vectors
from loadtests.bench.figures import Report, percentile
from loadtests.bench.own_space import INDEX, OwnSpace, own_space, write_rows
from omma.v1 import shard_pb2, shard_pb2_grpc, types_pb2

K = 10
IDLE_SECONDS = 30.0
LOOK_SECONDS = 0.2
ROWS_A_SECOND, TIMES_IDLE = 1_000, 2.0


class Caller:
    """One search after the other. took: milliseconds of each."""

    def __init__(self, own: OwnSpace, data: vectors.DataSet) -> None:
        self._own, self._data = own, data

    def ask(self, until: Callable[[], bool]) -> list[float]:
        took: list[float] = []
        with grpc.insecure_channel(self._own.shard) as channel:
            search = shard_pb2_grpc.ShardServiceStub(channel).Search
            while not until():
                request = self._request(len(took))
                began = time.perf_counter()
                search(request, timeout=30)
                took.append((time.perf_counter() - began) * 1e3)
        return took

    def _request(self, number: int) -> shard_pb2.ShardServiceSearchRequest:
        query = self._data.queries[number % len(self._data.queries)]
        return shard_pb2.ShardServiceSearchRequest(
            index=INDEX, space=self._own.space.id, tenant="default", k=K,
            query=types_pb2.Vectors(data=query.tobytes(), dtype=types_pb2.DTYPE_FLOAT32, dim=len(query)),
        )  # fmt: skip


@dataclass
class Beside:
    """What was seen while rows came. took: ms of each search. seen: the shard's own figures, a look at a time."""

    took: list[float]
    seconds: float
    applied: int
    seen: list[shard_pb2.ShardServiceStatsResponse]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="million", choices=vectors.NAMES)
    parser.add_argument("--rate", type=float, default=2_000.0, help="rows a second")
    parser.add_argument("--share", type=float, default=0.3, help="of the rows come once more")
    given = parser.parse_args()
    data = vectors.load(given.data_set)
    report = Report(f"merging_{given.data_set}", f"python -m loadtests.merging {given.data_set}")
    again = np.random.default_rng(0).permutation(len(data.base))[: int(given.share * len(data.base))]
    with own_space(data) as own:
        print(f"  at rest: {own.stats().segments} segments", flush=True)
        caller = Caller(own, data)
        idle_until = time.monotonic() + IDLE_SECONDS
        idle = caller.ask(lambda: time.monotonic() > idle_until)
        beside = _beside(own, data, caller, again, given.rate)
    _tell(report, data, idle, beside, len(again))
    report.save()
    return int(any(one.met is False for one in report.targets))


def _beside(own: OwnSpace, data: vectors.DataSet, caller: Caller, again: vectors.Int64, per_second: float) -> Beside:
    """Until the rows have come, and all of them are applied."""
    seen: list[shard_pb2.ShardServiceStatsResponse] = []
    # A process of its own: what it holds the interpreter for would be taken for a search's.
    told = own.running.kafka.brokers, own.space, data.name, again, 2, per_second
    writing = get_context("spawn").Process(target=write_rows, args=told)
    writing.start()
    looking = threading.Thread(target=_watched, args=(own, writing, seen))
    looking.start()
    began = time.perf_counter()
    took = caller.ask(lambda: not writing.is_alive())
    seconds = time.perf_counter() - began
    looking.join()
    if writing.exitcode:
        raise SystemExit("The rows were not written: see above.")
    applied = len(again) - own.stats().lag
    own.wait(len(data.base), rested=False)
    return Beside(took, seconds, applied, seen)


def _tell(report: Report, data: vectors.DataSet, idle: list[float], beside: Beside, again: int) -> None:
    table = report.table(
        f"{len(data.base):,} rows in one shard on Kafka, one caller, k={K}; {again:,} of them once more. ms a search.",
        ["", "searches a second", "p50", "p95", "p99", "max"],
    )
    for name, took, lasted in (
        ("at rest", idle, IDLE_SECONDS), ("taking in and merging", beside.took, beside.seconds)
    ):  # fmt: skip
        tail = (f"{percentile(took, one):.1f}" for one in (50, 95, 99, 100))
        table.rows.append([name, f"{len(took) / lasted:.0f}", *tail])
    applied = beside.applied / beside.seconds
    ratio = percentile(beside.took, 99) / percentile(idle, 99)
    segments = [one.segments for one in beside.seen]
    report.notes.append(
        f"{again / beside.seconds:,.0f} rows a second came, {again - beside.applied:,} were not applied at their end; "
        f"{sum(one != before for before, one in pairwise(segments))} times the number of segments changed, between "
        f"{min(segments)} and {max(segments)}; at most {max(one.dead_rows for one in beside.seen):,} dead rows."
    )
    report.target(
        f"{report.measure}: rows taken in beside", f"{applied:,.0f}/s", f">= {ROWS_A_SECOND:,}/s",
        applied >= ROWS_A_SECOND,
    )  # fmt: skip
    report.target(f"{report.measure}: p99 beside, over that at rest", f"{ratio:.2f}x", "<= 2x", ratio <= TIMES_IDLE)


def _watched(own: OwnSpace, writing: BaseProcess, seen: list[shard_pb2.ShardServiceStatsResponse]) -> None:
    while writing.is_alive():
        seen.append(own.stats())
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

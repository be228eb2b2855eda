"""A replica that lost its disk: from process start to ready, from a snapshot in object storage and from the log alone.

    python -m loadtests.restart [small|real|million] [--rounds N]

Object storage is the folder of blobs and the log is SQLite's, both dropped from the page cache first. Every checksum is
verified on the way.
"""

import argparse
import shutil
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from loadtests.bench import engines, vectors
from loadtests.bench.cgroup import forget
from loadtests.bench.figures import Report, spread
from loadtests.bench.shard_server import ShardServer, data_folder
from omma.v1 import shard_pb2, types_pb2

SNAPSHOT_SECONDS = 600
RESTORED_SECONDS = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="million", choices=vectors.NAMES)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    data = vectors.load(given.data_set)
    report = Report(f"restart_{given.data_set}", f"python -m loadtests.restart {given.data_set}")
    snapshots = _snapshot(data)
    aside = snapshots.with_name("snapshots-aside")
    restored = [_ready(data) for _ in range(given.rounds)]
    snapshots.rename(aside)
    try:
        replayed = [_ready(data) for _ in range(given.rounds)]
    finally:
        aside.rename(snapshots)
    size = sum(path.stat().st_size for path in snapshots.rglob("*") if path.is_file())
    rates = [len(data.base) / seconds for seconds in replayed]
    table = report.table(
        f"{len(data.base):,} vectors on a disk that was lost: seconds from spawn to ready.",
        ["from", "seconds", "a second"],
    )
    table.rows.append(["a snapshot", spread(restored, 1), f"{size / 2**20 / statistics.median(restored):,.0f} MiB"])
    table.rows.append(["the log", spread(replayed, 1), f"{statistics.median(rates):,.0f} vectors"])
    worst = statistics.median(restored)
    report.target(
        f"restart: {len(data.base):,} vectors ready from a snapshot", f"{worst:.1f} s", f"<= {RESTORED_SECONDS} s",
        worst <= RESTORED_SECONDS,
    )  # fmt: skip
    report.save()
    return int(worst > RESTORED_SECONDS)


def _snapshot(data: vectors.DataSet) -> Path:
    """The folder of the snapshots, written by a running shard that has come to rest."""
    snapshots = data_folder(data) / "blobs" / "snapshots"
    shutil.rmtree(snapshots, ignore_errors=True)
    server = ShardServer(data, OMMA_SHARD__SNAPSHOT_SECONDS="5")
    try:
        server.wait(len(data.base), sealed=True)
        until = time.perf_counter() + SNAPSHOT_SECONDS
        while not list(snapshots.rglob("manifests/*.json")):
            if time.perf_counter() > until:
                raise SystemExit(f"No snapshot in {SNAPSHOT_SECONDS} s.")
            time.sleep(0.2)
    finally:
        server.close()
    return snapshots


def _ready(data: vectors.DataSet) -> float:
    folder = data_folder(data)
    shutil.rmtree(folder / "shards")
    forget(folder)
    server = ShardServer(data)
    try:
        server.wait(len(data.base), sealed=False)
        seconds = time.perf_counter() - server.started
        answer = server.stub.Search(_query(data), timeout=60)
        if not np.isin(np.array(answer.ids) - 1, data.truth[0]).any():
            raise SystemExit("It answers with the wrong pictures.")
        return seconds
    finally:
        server.close()


def _query(data: vectors.DataSet) -> shard_pb2.ShardServiceSearchRequest:
    query = types_pb2.Vectors(data=data.queries[0].tobytes(), dtype=types_pb2.DTYPE_FLOAT32, dim=data.queries.shape[1])
    return shard_pb2.ShardServiceSearchRequest(
        index=engines.INDEX, space=engines.SPACE, tenant="default", query=query, k=10
    )


if __name__ == "__main__":
    sys.exit(main())

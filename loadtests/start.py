"""From process start to the first answer of a shard that holds the data set (a million unless told).

    python -m loadtests.start [small|real|million] [--rounds N]

Every checksum is verified on the way. `cold` drops the folder from the page cache first.
"""

import argparse
import statistics
import sys
import time

import grpc
import numpy as np

from loadtests.bench import engines, vectors
from loadtests.bench.cgroup import forget
from loadtests.bench.figures import Report, spread
from loadtests.bench.shard_server import ShardServer, data_folder
from loadtests.served import warm_up_folder
from omma.v1 import shard_pb2, types_pb2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="million", choices=vectors.NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    data = vectors.load(given.data_set)
    report = Report(f"start_{given.data_set}", f"python -m loadtests.start {given.data_set}")
    warm_up_folder(data)
    took: dict[str, list[float]] = {"warm": [], "cold": []}
    for _ in range(given.rounds):
        for kind, seconds in took.items():
            seconds.append(_start(data, cold=kind == "cold"))
    table = report.table(
        f"{len(data.base):,} vectors: seconds from spawn to the first answer.", ["page cache", "seconds"]
    )
    for kind, seconds in took.items():
        table.rows.append([kind, spread(seconds, 2)])
    worst = statistics.median(took["cold"])
    report.target(f"start: {len(data.base):,} vectors served again, cold cache", f"{worst:.2f} s", "<= 5 s", worst <= 5)
    report.save()
    return int(worst > 5)


def _start(data: vectors.DataSet, *, cold: bool) -> float:
    query = types_pb2.Vectors(data=data.queries[0].tobytes(), dtype=types_pb2.DTYPE_FLOAT32, dim=data.queries.shape[1])
    request = shard_pb2.ShardServiceSearchRequest(
        index=engines.INDEX, space=engines.SPACE, tenant="default", query=query, k=10
    )
    if cold:
        forget(data_folder(data))
    server = ShardServer(data)
    try:
        while True:
            try:
                answer = server.stub.Search(request, timeout=10)
                break
            except grpc.RpcError:
                if server.process.poll() is not None:
                    raise SystemExit(f"The shard ended with {server.process.returncode}.") from None
                time.sleep(0.01)
        seconds = time.perf_counter() - server.started
        if answer.live != len(data.base) or not np.isin(np.array(answer.ids) - 1, data.truth[0]).any():
            raise SystemExit(f"It answered with {answer.live} live vectors, or with the wrong ones.")
        return seconds
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())

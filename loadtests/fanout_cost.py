"""What a shard more costs: the same corpus in 1, 2, 4, 8, 16 shards, each shard a process, asked by one search core.

    python -m loadtests.fanout_cost [small|real|million] [--shards 1 2 4 8 16] [--queries N] [--clients N]

The gateway here is this process: its search core and fan-out over real channels to the shards, re-ranking as it does by
default and, side by side, through a re-ranker of its own over gRPC. Its CPU
a query is the process's own, whoever else is on the machine; latency is not, and takes in that all shards share the
machine's cores. Queries are vectors, so that no embedder stands between; k is 50, near-duplicates are collapsed.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import uvloop

from deploy.local.service import Service
from loadtests.bench import engines, vectors
from loadtests.bench.figures import Report, percentile, spread
from loadtests.bench.ports import free_port
from loadtests.bench.shard_server import ShardServer, data_folder
from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.buckets import shard_of
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.rpc.channel import open_channel
from omma.space import Space
from services.egs.client import RemoteEmbedder
from services.gateway.search.admission import Admission
from services.gateway.search.core import SearchCore
from services.gateway.search.query import SearchQuery, SoughtVector
from services.gateway.search.urls import PictureFetcher
from services.nn_shard.client import RemoteShard
from services.rerank.client import RemoteReranker
from services.rerank.local import LocalReranker
from services.rerank.settings import RerankSettings
from services.topology.indexes import ServedIndex, ServedIndexes

SHARDS = (1, 2, 4, 8, 16)
WARM_UP = 100
PATIENCE_MS = 30_000
MANY = 1_024
NOWHERE = "127.0.0.1:9"
"""Of the embedder, which a query by vector does not call."""


class Gateway:
    """A search core over the shards of one index, in this process. rerank: of a re-ranker; "": this one re-ranks."""

    def __init__(self, index: Index, space: Space, shards: Sequence[str], rerank: str, blobs: FolderBlobs) -> None:
        self._clients = [RemoteShard.at(address) for address in shards]
        self._reranker = RemoteReranker.at(rerank) if rerank else LocalReranker.configured(RerankSettings())
        self._urls = PictureFetcher(max_bytes=1, timeout_seconds=1.0)
        self._index, self._space = index.id, space.id
        self._embedder = RemoteEmbedder(open_channel(NOWHERE), space, has_text_tower=False)
        served = ServedIndex(index, space, tuple((one,) for one in self._clients), self._embedder)
        # All are let in: what is measured is what they cost, however long they take on a busy machine.
        admission = Admission(MANY, MANY, PATIENCE_MS / 1000, slow_seconds=PATIENCE_MS / 1000)
        self._core = SearchCore(
            ServedIndexes([served]), self._reranker, Originals(blobs), self._urls, admission=admission
        )

    async def ask(self, queries: vectors.Float32, clients: int) -> tuple[list[float], float]:
        """Milliseconds of each query, and this process's CPU milliseconds a query."""
        took: list[float] = []
        left = iter(queries)

        async def client() -> None:
            for vector in left:
                started = time.perf_counter()
                query = SearchQuery((SoughtVector(vector, self._space),), index=self._index, timeout_ms=PATIENCE_MS)
                answer = await self._core.search(DEFAULT_TENANT, query)
                took.append((time.perf_counter() - started) * 1e3)
                if answer.degraded or answer.coverage.fraction < 1:
                    raise SystemExit(f"A search was degraded: {answer.degraded}")

        cpu = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
        return took, (time.process_time() - cpu) * 1e3 / len(queries)

    async def close(self) -> None:
        for one in (*self._clients, self._reranker, self._embedder, self._urls):
            await one.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", default="real", choices=vectors.NAMES)
    parser.add_argument("--shards", type=int, nargs="+", default=list(SHARDS))
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    data = vectors.load(given.data_set)
    folder = data_folder(data)
    report = Report("fanout_cost", "python -m loadtests.fanout_cost")
    table = report.table(
        f"{len(data.base):,} vectors of 256 dimensions, k=50: CPU of the gateway a query as median (min … max) of "
        "rounds, latency over all of them, in ms.",
        ["shards", "clients", "re-ranked", "gateway CPU", "p50", "p99"],
    )
    costs: dict[tuple[str, int], dict[int, float]] = {}
    with contextlib.ExitStack() as stack:
        rerank = Service("rerank", "services.rerank", free_port())
        stack.callback(rerank.server.close)
        rerank.start({"OMMA_LOG_LEVEL": "warning"})
        for shards in given.shards:
            index, space = uvloop.run(_registered(folder, shards))
            with contextlib.ExitStack() as running:
                addresses = _started(running, data, index, space)
                ways = {"here": "", "over gRPC": rerank.address}
                figures = uvloop.run(_measured(data, folder, index, space, addresses, ways, given))
            for (way, clients), (cpu, took) in figures.items():
                costs.setdefault((way, clients), {})[shards] = statistics.median(cpu)
                tail = f"{percentile(took, 50):.1f}", f"{percentile(took, 99):.1f}"
                row = [shards, clients, way, spread(cpu, 2), *tail]
                table.rows.append(row)
                print(" ", *row, flush=True)
    for (way, clients), cost in costs.items():
        slope, least = np.polyfit(list(cost), list(cost.values()), 1) if len(cost) > 1 else (0.0, cost[given.shards[0]])
        report.notes.append(
            f"{clients} client{'s' * (clients > 1)}, re-ranked {way}: {least:.2f} ms of gateway CPU a query, "
            f"and {slope * 1e3:.0f} us a shard more."
        )
    report.save()
    return 0


def _started(running: contextlib.ExitStack, data: vectors.DataSet, index: Index, space: Space) -> list[str]:
    """Addresses of the index's shards, all ready, sealed and at rest."""
    shard_of_row = np.array([shard_of(one, index.shards, space.buckets) for one in range(1, len(data.base) + 1)])
    servers = []
    for number in range(index.shards):
        server = ShardServer(
            data, OMMA_SHARD__INDEX=index.id, OMMA_SHARD__NUMBER=str(number), OMMA_SHARD__REPLICA="0",
            OMMA_SHARD__ENGINE__SEAL_ROWS="4096", OMMA_SHARD__SNAPSHOT_SECONDS="0", OMMA_SHARD__CHECKPOINT_SECONDS="5",
        )  # fmt: skip
        running.callback(server.close)
        servers.append((server, int((shard_of_row == number).sum())))
    with ThreadPoolExecutor(index.shards) as waiting:
        list(waiting.map(lambda one: one[0].wait(one[1], sealed=True), servers))
    return [server.address for server, _ in servers]


async def _registered(folder: Path, shards: int) -> tuple[Index, Space]:
    """An index of so many shards over the data set's space, with the codebook of the one that is there."""
    catalog = await open_sqlite_catalog(folder / "catalog.db")
    try:
        space = next(one for one in await catalog.spaces() if one.id == engines.SPACE)
        index_id = IndexId(f"{engines.SPACE}.in-{shards}")
        known = {one.id: one for one in await catalog.indexes()}
        if index_id not in known:
            index = Index(index_id, space.id, DEFAULT_FACTORY, shards, IndexState.SHADOW)
            await catalog.register_index(index)
            await catalog.adopt_codebook(index_id, known[engines.INDEX].codebook)
            known[index_id] = index
        return known[index_id], space
    finally:
        await catalog.close()


async def _measured(
    data: vectors.DataSet,
    folder: Path,
    index: Index,
    space: Space,
    shards: list[str],
    ways: Mapping[str, str],
    given: argparse.Namespace,
) -> dict[tuple[str, int], tuple[list[float], list[float]]]:
    """By way of re-ranking and clients: CPU milliseconds a query of each round, and every query's milliseconds."""
    blobs = FolderBlobs(folder / "blobs")
    gateways = {way: Gateway(index, space, shards, address, blobs) for way, address in ways.items()}
    figures: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
    try:
        for gateway in gateways.values():
            await gateway.ask(data.queries[:WARM_UP], 4)
        for _ in range(given.rounds):
            for clients in given.clients:
                for way, gateway in gateways.items():
                    took, cpu = await gateway.ask(data.queries[: given.queries], clients)
                    cpus, every = figures.setdefault((way, clients), ([], []))
                    cpus.append(cpu)
                    every.extend(took)
    finally:
        for gateway in gateways.values():
            await gateway.close()
    return figures


if __name__ == "__main__":
    sys.exit(main())

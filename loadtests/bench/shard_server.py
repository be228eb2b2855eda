"""Omma's shard service as a process, on a data folder filled through the log as an indexer fills it."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import grpc

from loadtests.bench import engines, vectors
from loadtests.bench.cgroup import MemoryCgroup
from loadtests.bench.ports import free_port
from omma.blobs.folder import FolderBlobs
from omma.buckets import bucket_of
from omma.catalog.sqlite import open_sqlite_catalog
from omma.index import DEFAULT_FACTORY, Index, IndexState, codebook_key
from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog
from omma.records import image_key
from omma.space import Space
from omma.v1 import shard_pb2, shard_pb2_grpc

FILL_SECONDS = 1_800
REST_SECONDS = 8.0
"""Of no change: maintenance looks every second, and a merge takes less than a second more for each 30,000 rows."""
_ROWS_A_SECOND = 30_000


class ShardServer:
    """Runs from construction to close. group: the memory cgroup it lives in. folder: instead of `data_folder`."""

    def __init__(
        self,
        data: vectors.DataSet,
        *,
        group: MemoryCgroup | None = None,
        folder: Path | None = None,
        **settings: str,
    ) -> None:
        self.folder = folder or data_folder(data)
        self.address = f"127.0.0.1:{free_port()}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMMA_")},
            "OMMA_DATA_DIR": str(self.folder), "OMMA_GRPC_PORT": self.address.rpartition(":")[2],
            "OMMA_METRICS_PORT": "0", "OMMA_LOG_LEVEL": "warning", **settings,
        }  # fmt: skip
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.nn_shard"],
            env=environment,
            preexec_fn=group.enter if group else None,  # noqa: PLW1509  no thread runs yet
        )
        self._channel = grpc.insecure_channel(self.address)
        self.stub = shard_pb2_grpc.ShardServiceStub(self._channel)

    @property
    def pid(self) -> int:
        return self.process.pid

    def stats(self) -> shard_pb2.ShardServiceStatsResponse:
        return self.stub.Stats(shard_pb2.ShardServiceStatsRequest(), timeout=10, wait_for_ready=True)

    def wait(self, live: int, *, sealed: bool, seconds: float = FILL_SECONDS) -> None:
        """Until it is ready and holds so many vectors; sealed: and its maintenance has come to rest."""
        until = time.perf_counter() + seconds
        rested_since, before = time.perf_counter(), 0
        while time.perf_counter() < until:
            if self.process.poll() is not None:
                raise SystemExit(f"The shard ended with {self.process.returncode}.")
            try:
                stats = self.stats()
            except grpc.RpcError:
                time.sleep(0.01)
                continue
            if stats.segments != before or stats.head_rows or stats.live != live:
                rested_since, before = time.perf_counter(), stats.segments
            rested = not sealed or time.perf_counter() - rested_since >= REST_SECONDS + live / _ROWS_A_SECOND
            if stats.ready and stats.live == live and rested:
                return
            time.sleep(0.5 if sealed else 0.05)
        raise SystemExit(f"The shard did not get there in {seconds} s: {stats}")

    def close(self) -> None:
        self._channel.close()
        self.process.terminate()
        self.process.wait(timeout=60)


def data_folder(data: vectors.DataSet) -> Path:
    """With every row in the log and a published codebook; what the shard makes of it stays in it."""
    codebook = engines.trained(data)
    folder = vectors.cache() / data.name / "omma" / f"served-2-{codebook.id[:12]}"
    if not (folder / "filled").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        asyncio.run(_fill(data, folder, codebook.id, codebook.to_bytes()))
        (folder / "filled").touch()
    return folder


async def _fill(data: vectors.DataSet, folder: Path, codebook: str, content: bytes) -> None:
    space = Space(engines.SPACE, "bench@1", "0" * 64, data.base.shape[1])
    catalog = await open_sqlite_catalog(folder / "catalog.db")
    await catalog.register_space(space)
    await catalog.register_index(Index(engines.INDEX, space.id, DEFAULT_FACTORY, 1, IndexState.LIVE))
    blobs = FolderBlobs(folder / "blobs")
    await blobs.put(codebook_key(codebook), content)
    await catalog.adopt_codebook(engines.INDEX, codebook)
    log = await SqliteLog.open(folder / "log.db")
    await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    producer = await log.producer()
    for start in range(0, len(data.base), engines.BLOCK):
        rows = data.base[start : start + engines.BLOCK]
        records = engines.records(rows, range(start + 1, start + 1 + len(rows)))
        await producer.send_many(
            space.vectors_topic,
            [(bucket_of(one.image_id, space.buckets), image_key(one.image_id), one.encode()) for one in records],
        )
    for part in (producer, log, blobs, catalog):
        await part.close()

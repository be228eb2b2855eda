"""A cluster of real parts with one shard of brought vectors, whose rows are put straight onto its topic."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import grpc
import httpx
import numpy as np

from deploy.local import Cluster, Shape, cluster
from loadtests.bench import engines, vectors
from omma.buckets import bucket_of
from omma.log.interface import TopicSpec
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.records import image_key
from omma.space import Space, SpaceId
from omma.v1 import shard_pb2, shard_pb2_grpc

INDEX, NAME = "own", "bench"
PATIENCE_SECONDS = 1_800.0
_LOOK_SECONDS = 0.5
_REST_LOOKS, _ROWS_A_LOOK = 20, 25_000
"""Of no change: the more rows, the longer a merge of them may last."""
_TRAIN_ROWS = 50_000
"""As by default; a small set is trained all the same."""


class OwnSpace:
    """address: of the gateway's gRPC face. shard: of the only replica's."""

    def __init__(self, running: Cluster, dim: int) -> None:
        self.running = running
        (self._replica,) = running.add_space(INDEX, space=NAME, shards=1).shards[0]
        self.space = self._made(dim)
        self._channel = grpc.insecure_channel(self.shard)
        self._stub = shard_pb2_grpc.ShardServiceStub(self._channel)

    @property
    def address(self) -> str:
        return self.running.grpc

    @property
    def shard(self) -> str:
        return self._replica.address

    @property
    def pid(self) -> int:
        """Of the gateway's process."""
        return self.running.gateway.server.pid

    def stats(self) -> shard_pb2.ShardServiceStatsResponse:
        return self._stub.Stats(shard_pb2.ShardServiceStatsRequest(), timeout=30, wait_for_ready=True)

    def wait(self, live: int, *, rested: bool) -> None:
        """Until the shard holds so many live rows and all that the log has; rested: trained, and sealing no more."""
        deadline, quiet, before = time.monotonic() + PATIENCE_SECONDS, 0, None
        while time.monotonic() < deadline:
            stats = self.stats()
            state = stats.live, stats.lag, stats.segments, stats.dead_rows, stats.head_rows, stats.codebook
            quiet, before = (quiet + 1 if state == before else 0), state
            calm = quiet >= _REST_LOOKS + live // _ROWS_A_LOOK and stats.codebook
            if stats.live == live and not stats.lag and (calm or not rested):
                return
            time.sleep(_LOOK_SECONDS)
        raise SystemExit(f"The shard did not get there in {PATIENCE_SECONDS:.0f} s: {stats}")

    def close(self) -> None:
        self._channel.close()

    def _made(self, dim: int) -> Space:
        """Gateways learn of the topology's entry while they run."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with httpx.Client(base_url=self.running.rest, timeout=60) as rest:
            while (answer := rest.post("/spaces", json={"name": NAME, "dim": dim})).status_code != httpx.codes.CREATED:
                if time.monotonic() > deadline:
                    raise SystemExit(f"The space is refused: {answer.text}")
                time.sleep(_LOOK_SECONDS)
        made = answer.json()
        return Space(SpaceId(made["id"]), made["model"], made["signature"], dim, made["buckets"])


@contextmanager
def own_space(data: vectors.DataSet) -> Iterator[OwnSpace]:
    """With every row in it, trained, sealed and merged. There is an embedder, which nobody asks."""
    rows = len(data.base)
    few = {"OMMA_SHARD__ENGINE__TRAIN_ROWS": str(min(_TRAIN_ROWS, rows // 2))}
    with cluster(Shape(1, 1, triton=False, environment=few)) as running:
        made = OwnSpace(running, data.base.shape[1])
        write_rows(running.kafka.brokers, made.space, data.name, np.arange(rows), version=1)
        made.wait(rows, rested=True)
        try:
            yield made
        finally:
            made.close()


def write_rows(
    brokers: str, space: Space, data_set: str, rows: vectors.Int64, version: int, per_second: float = 0.0
) -> None:
    """These rows of the data set as the pictures row + 1. per_second: 0: as fast as they go. Blocks."""
    asyncio.run(_written(brokers, space, vectors.load(data_set).base, rows, version, per_second))


async def _written(
    brokers: str, space: Space, base: vectors.Float32, rows: vectors.Int64, version: int, per_second: float
) -> None:
    log = await KafkaLog.open(KafkaSettings(brokers=brokers))
    await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    producer = await log.producer()
    loop = asyncio.get_running_loop()
    began = loop.time()
    block = min(engines.BLOCK, int(per_second / 4)) or engines.BLOCK
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        records = [replace(one, space=space.id) for one in engines.records(base[some], (some + 1).tolist(), version)]
        await producer.send_many(
            space.vectors_topic,
            [(bucket_of(one.image_id, space.buckets), image_key(one.image_id), one.encode()) for one in records],
        )
        if per_second:
            await asyncio.sleep(max(0.0, began + (start + len(some)) / per_second - loop.time()))
    await producer.close()
    await log.close()

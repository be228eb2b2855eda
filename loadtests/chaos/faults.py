"""The faults: how each is caused, how it is undone, and what searches may suffer meanwhile."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from deploy.local import Cluster
from deploy.local.service import Service
from deploy.parts import Server
from loadtests.chaos.traffic import Kind

Cause = Callable[[Cluster], AbstractContextManager[None]]

_EVERY: Final[frozenset[Kind]] = frozenset({"vector", "picture"})


@dataclass(frozen=True, slots=True)
class Fault:
    """cause: a block; the fault is there inside, and undone at its end. may_fail: kinds of searches that need what is
    gone. partial: searches may cover less, and say so.
    """

    name: str
    cause: Cause
    may_fail: frozenset[Kind] = frozenset()
    partial: bool = False


@contextmanager
def none(_: Cluster) -> Iterator[None]:
    """Nothing is the matter."""
    yield


@contextmanager
def killed(chosen: Callable[[Cluster], Service], running: Cluster) -> Iterator[None]:
    """kill -9; the supervisor starts it again."""
    chosen(running).server.kill()
    yield


@contextmanager
def down(chosen: Callable[[Cluster], list[Service]], running: Cluster) -> Iterator[None]:
    """kill -9, and they stay down."""
    services = chosen(running)
    with running.supervisor.left_alone(*services):
        for one in services:
            one.server.kill()
        yield


@contextmanager
def part_killed(chosen: Callable[[Cluster], Server], running: Cluster) -> Iterator[None]:
    """kill -9 of a server of somebody else's; started again on its data."""
    server = chosen(running)
    server.kill()
    try:
        yield
    finally:
        server.restart()


@contextmanager
def hung(chosen: Callable[[Cluster], Service], running: Cluster) -> Iterator[None]:
    """SIGSTOP: it holds its connections and answers nothing."""
    server = chosen(running).server
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def cut_off(running: Cluster) -> Iterator[None]:
    """Nothing passes between the gateway and a replica; connections stay open."""
    proxy = running.proxies[0][0]
    proxy.partition()
    try:
        yield
    finally:
        proxy.heal()


@contextmanager
def slow(running: Cluster) -> Iterator[None]:
    """500 ms on the way from a replica to the gateway."""
    proxy = running.proxies[0][0]
    proxy.delay(500)
    try:
        yield
    finally:
        proxy.heal()


@contextmanager
def stalled(running: Cluster) -> Iterator[None]:
    """A replica's way to Kafka is cut: it consumes nothing, and answers."""
    assert running.kafka_proxy is not None
    running.kafka_proxy.partition()
    try:
        yield
    finally:
        running.kafka_proxy.heal()


@contextmanager
def disk_full(running: Cluster) -> Iterator[None]:
    """Nothing more fits on a replica's disk."""
    ballast = running.shards[0][0].disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


def faults_of(running: Cluster) -> list[Fault]:
    """All that can be caused in this cluster."""
    pictures: frozenset[Kind] = frozenset({"picture"})
    found = [
        Fault("egs killed", partial(killed, lambda it: it.egs), pictures),
        Fault("indexer killed", partial(killed, lambda it: it.indexer)),
        Fault("gateway killed", partial(killed, lambda it: it.gateway), _EVERY),
        Fault("a replica killed", partial(killed, lambda it: it.shards[0][0])),
        Fault("one replica of every shard down", partial(down, lambda it: [group[0] for group in it.shards])),
        Fault("both replicas of a shard down", partial(down, lambda it: it.shards[1]), partial=True),
        Fault("a replica hung", partial(hung, lambda it: it.shards[1][1])),
        Fault("Kafka killed", partial(part_killed, lambda it: it.kafka.server)),
        Fault("PostgreSQL killed", partial(part_killed, lambda it: it.postgres.server)),
        Fault("MinIO killed", partial(part_killed, lambda it: it.minio.server)),
    ]
    if running.rerank is not None:
        reranker = running.rerank
        found.append(Fault("rerank killed", partial(killed, lambda _: reranker)))
    if running.triton is not None:
        triton = running.triton.server
        found.append(Fault("Triton killed", partial(part_killed, lambda _: triton), pictures))
    if running.kafka_proxy is not None:
        found += [
            Fault("a replica cut off", cut_off),
            Fault("a replica 500 ms away", slow),
            Fault("a replica that consumes nothing", stalled),
        ]
    if running.shape.small_disk_mib:
        found.append(Fault("a replica's disk full", disk_full))
    return found


def may_mount() -> bool:
    """Whether a small disk can be had: it takes root."""
    return os.geteuid() == 0

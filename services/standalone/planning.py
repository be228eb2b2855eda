"""How large a cluster must be: from pictures, searches a second and recall to shards, replicas, memory, disks. Pure.

Every constant was measured and says where: docs/benchmarks.md, docs/adr/0003. All were taken on two shared cores of an
AMD EPYC and 256 dimensions, so that a plan is a start to measure from, not a promise.
"""

import math
from dataclasses import dataclass
from typing import Final

from omma.errors import InvalidQuery
from omma.index import MAX_SHARDS

MIB: Final = 1 << 20
GIB: Final = 1 << 30

DIMENSION: Final = 512
"""Of omma-mini's vectors."""

CODE_BYTES: Final = 64
"""Of PQ128x4fs, as of PQ64x8, in memory: 59.6 GiB for a billion vectors."""
_MEMORY_BESIDE_CODES: Final = 49
"""Bytes a vector: 148 MiB RssAnon for 1,000,000 in one process, less its 40 MiB and the codes (engine_million)."""
_PROCESS_BYTES: Final = 192 * MIB
"""A shard's process that holds nearly nothing: 135 MiB at rest (rest_load), and its head of 65,536 rows."""
_CACHED_SHARE: Final = 0.2
"""Of the originals, in the page cache: with a fifth a shard keeps half to nine tenths of its rate (served_real)."""
_DISK_BESIDE_ORIGINALS: Final = 208
"""Bytes a vector: 720 MB for 1,000,000 of 512 (ADR 0003)."""
_DISK_FACTOR: Final = 2.0
"""A merge writes its segment before it removes what it was made of."""
_LOG_BESIDE_VECTOR: Final = 250
"""Bytes of a record of the vectors topic: keys, payload, batch. Compaction keeps one a picture."""

_CALL_SECONDS: Final = 655e-6
"""Of processor, a search through a shard's gRPC before and beside the engine: 235 + 220 + 200 us (served_real)."""
_ENGINE_SECONDS_A_MILLION: Final = 1_250e-6
"""Of processor, one search at recall 0.97 over a million rows in three segments (ADR 0003)."""
_EXACT_SECONDS_A_MILLION: Final = 23.4e-3
"""2,650 us over 113,184 rows (ADR 0003)."""
_COST_OF_RECALL: Final = ((0.94, 0.74), (0.957, 0.87), (0.97, 1.0), (0.985, 1.5))
"""(recall@10, times the cost at 0.97), by the lists that are probed (ADR 0003)."""
_GATEWAY_SECONDS: Final = 3.06e-3
_GATEWAY_SECONDS_A_SHARD: Final = 0.491e-3
"""Of processor, a search, and a shard more (fanout_cost)."""
_EMBED_SECONDS: Final = 13.64e-3
"""Of processor: 4.05 in EGS and 9.59 for the towers of omma-mini, a search (rest_load)."""
_DECODE_SECONDS: Final = 4.05e-3
"""The same without the towers, which a GPU runs."""

_BUSY: Final = 0.6
"""Of a core, on average: what is left is for peaks, ingest and a replica that is away."""
_SEARCH_SECONDS: Final = 0.025
"""A shard's engine may take so long by itself: a quarter of a search whose p95 is to be 100 ms."""
_MAX_REPLICAS: Final = 100
_MIN_REPLICAS: Final = 2
_PARTITION_PICTURES: Final = 25_000_000
"""Pictures that one indexer embeds in a day with twelve cores, at 40 ms each; an indexer works on one partition."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """dimension: of a vector. qps: searches a second, all of pictures or words. recall: of ten, against exact search.

    shard_gib: memory that a shard's pod may be given. gpu_rate: pictures a second that one GPU embeds with this model,
    measured by you; None: the towers run on CPUs.
    """

    pictures: int
    qps: float
    recall: float = 0.95
    dimension: int = DIMENSION
    model: str = "omma-mini"
    shard_gib: float = 64.0
    gpu_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes and seconds are of one pod unless the name says otherwise; `*_total_*` counts every replica."""

    wanted: Wanted
    shards: int
    replicas: int
    rows: int
    codes_total_bytes: int
    shard_memory_bytes: int
    shard_disk_bytes: int
    shard_cores: int
    search_seconds: float
    gateways: int
    embedders: int
    gpus: int
    partitions: int
    log_total_bytes: int

    @property
    def memory_total_bytes(self) -> int:
        return self.shard_memory_bytes * self.shards * self.replicas

    @property
    def disk_total_bytes(self) -> int:
        return self.shard_disk_bytes * self.shards * self.replicas


def plan(wanted: Wanted) -> Plan:
    """The smallest cluster that these formulas allow. Raises InvalidQuery, with its field, for what none can do."""
    _check(wanted)
    shards = next((count for count in _powers_of_two() if _fits(wanted, count)), None)
    if shards is None:
        raise InvalidQuery(
            f"{wanted.pictures:,} pictures need more than {MAX_SHARDS} shards at {wanted.shard_gib:g} GiB each, or "
            f"more than {_MAX_REPLICAS} replicas; allow more memory a shard, less recall or fewer searches.",
            field="pictures",
        )
    rows = math.ceil(wanted.pictures / shards)
    search = search_seconds(rows, wanted.recall)
    replicas = max(_MIN_REPLICAS, math.ceil(wanted.qps * (search + _CALL_SECONDS) / _BUSY))
    gateway = _GATEWAY_SECONDS + _GATEWAY_SECONDS_A_SHARD * shards
    embed = _EMBED_SECONDS if wanted.gpu_rate is None else _DECODE_SECONDS
    gpus = 0 if wanted.gpu_rate is None else max(_MIN_REPLICAS, math.ceil(wanted.qps / (wanted.gpu_rate * _BUSY)))
    return Plan(
        wanted=wanted,
        shards=shards,
        replicas=replicas,
        rows=rows,
        codes_total_bytes=wanted.pictures * CODE_BYTES,
        shard_memory_bytes=shard_memory_bytes(rows, wanted.dimension),
        shard_disk_bytes=math.ceil(rows * _disk_bytes(wanted.dimension) * _DISK_FACTOR) + GIB,
        shard_cores=2,
        search_seconds=search,
        gateways=max(_MIN_REPLICAS, math.ceil(wanted.qps * gateway / _BUSY)),
        embedders=max(_MIN_REPLICAS, gpus, math.ceil(wanted.qps * embed / (4 * _BUSY))),
        gpus=gpus,
        partitions=min(256, max(8, 8 * math.ceil(wanted.pictures / _PARTITION_PICTURES / 8))),
        log_total_bytes=wanted.pictures * (2 * wanted.dimension + _LOG_BESIDE_VECTOR),
    )


def search_seconds(rows: int, recall: float) -> float:
    """Of processor, one search in the engine of a shard with so many rows; grows with them."""
    exact = rows / 1e6 * _EXACT_SECONDS_A_MILLION
    times = next((times for known, times in _COST_OF_RECALL if recall <= known), None)
    return exact if times is None else min(exact, rows / 1e6 * _ENGINE_SECONDS_A_MILLION * times)


def shard_memory_bytes(rows: int, dimension: int) -> int:
    """Codes and columns, the process, and the share of the originals that the page cache should hold."""
    own = rows * (CODE_BYTES + _MEMORY_BESIDE_CODES) + _PROCESS_BYTES
    return math.ceil(own + rows * 2 * dimension * _CACHED_SHARE)


def _disk_bytes(dimension: int) -> int:
    return 2 * dimension + _DISK_BESIDE_ORIGINALS


def _fits(wanted: Wanted, shards: int) -> bool:
    rows = math.ceil(wanted.pictures / shards)
    search = search_seconds(rows, wanted.recall)
    replicas = wanted.qps * (search + _CALL_SECONDS) / _BUSY
    small = shard_memory_bytes(rows, wanted.dimension) <= wanted.shard_gib * GIB and replicas <= _MAX_REPLICAS
    # The largest number of shards is taken for searches that are slow in any: only memory and rate can say no.
    return small and (search <= _SEARCH_SECONDS or shards == MAX_SHARDS)


def _powers_of_two() -> list[int]:
    return [1 << power for power in range(MAX_SHARDS.bit_length())]


def _check(wanted: Wanted) -> None:
    for field, value, least, most in (
        ("pictures", wanted.pictures, 1, 10**13),
        ("qps", wanted.qps, 0.001, 10**7),
        ("recall", wanted.recall, 0.5, 1.0),
        ("dimension", wanted.dimension, 8, 8192),
        ("shard_gib", wanted.shard_gib, 0.5, 4096),
        ("gpu_rate", wanted.gpu_rate if wanted.gpu_rate is not None else 1, 0.001, 10**6),
    ):
        if not least <= value <= most:  # not a number is neither
            raise InvalidQuery(f"{field} must be {least:g} to {most:g}.", field=field)

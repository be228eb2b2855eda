"""A plan as a values file of the chart helm/omma."""

import math
from typing import Final

from services.standalone.planning import DIMENSION, GIB, MIB, Plan

_TEMPLATE: Final = """\
# Written by: omma plan --pictures {pictures} --qps {qps:g} --recall {recall:g}{more}
# {pictures:,} pictures, {qps:g} searches a second, recall@10 of {recall:g}: {codes} of codes.
# Say where PostgreSQL, Kafka and the bucket are in a second file, and give both to Helm.
kafka:
  imagesPartitions: {partitions}
indexes:
  - name: main
    model: {model}
    shards: {shards}
    replicas: {replicas}
    resources:
      requests: {{cpu: "{cores}", memory: {shard_memory}}}
      limits: {{memory: {shard_memory}}}
    storage: {{size: {shard_disk}}}
gateway:
  replicas: {gateways}
  resources:
    requests: {{cpu: "1", memory: 1Gi}}
    limits: {{memory: 2Gi}}
egs:
  replicas: {embedders}
  resources:
    requests: {{cpu: "4", memory: 2Gi}}
    limits: {{cpu: "4", memory: 4Gi}}
indexer:
  replicas: {indexers}
  resources:
    requests: {{cpu: "1", memory: 1Gi}}
    limits: {{memory: 2Gi}}
"""
_TRITON: Final = "triton:\n  enabled: true\n  gpu: 1\n"


def values_yaml(plan: Plan) -> str:
    """YAML that values.schema.json accepts."""
    wanted = plan.wanted
    more = "" if wanted.shard_gib == 64 else f" --shard-gib {wanted.shard_gib:g}"
    more += "" if wanted.dimension == DIMENSION else f" --dimension {wanted.dimension}"
    more += "" if wanted.model == "omma-mini" else f" --model {wanted.model}"
    more += "" if wanted.gpu_rate is None else f" --gpu-rate {wanted.gpu_rate:g}"
    text = _TEMPLATE.format(
        pictures=wanted.pictures,
        qps=wanted.qps,
        recall=wanted.recall,
        more=more,
        codes=size(plan.codes_total_bytes),
        partitions=plan.partitions,
        model=wanted.model,
        shards=plan.shards,
        replicas=plan.replicas,
        cores=plan.shard_cores,
        shard_memory=f"{math.ceil(plan.shard_memory_bytes / MIB / 256) * 256}Mi",
        shard_disk=f"{math.ceil(plan.shard_disk_bytes / GIB)}Gi",
        gateways=plan.gateways,
        embedders=plan.embedders,
        indexers=min(plan.partitions, 64),
    )
    return text + (_TRITON if plan.gpus else "")


def size(count: float) -> str:
    """Bytes for people: `59.6 GiB`."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(int(math.log(count, 1024)), len(units) - 1) if count >= 1 else 0
    return f"{count / 1024**power:.3g} {units[power]}"

"""What a cluster on this machine is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shape:
    """index: the first one's name. model: `name` or `name@version` of the registry under models_dir. http_port,
    grpc_port: the first gateway's, 0: any.

    triton: False embeds with ONNX Runtime inside EGS. toxiproxy: between the gateway and every replica, and between
    Kafka and replica 0 of shard 0. small_disk_mib: replica 0 of shard 0 has a disk of that size; needs root; 0: as the
    others. reranker: a process of its own; False: the gateway re-ranks. keep_events: MinIO keeps those of the inbox on
    its disk while Kafka is away, and sends them every 3 s. environment: OMMA_… settings for every service beside ours.
    """

    shards: int = 4
    replicas: int = 2
    model: str = "omma-mini"
    models_dir: str = "models"
    triton: bool = True
    toxiproxy: bool = False
    small_disk_mib: int = 0
    reranker: bool = False
    keep_events: bool = True
    http_port: int = 0
    grpc_port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    gateways: int = 1
    index: str = "main"

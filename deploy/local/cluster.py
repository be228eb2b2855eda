"""The parts and the services of a cluster, started in the order in which they can be, and taken down together."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from deploy import parts
from deploy.local.inbox import open_inbox
from deploy.local.service import Service
from deploy.local.shape import Shape
from deploy.local.supervisor import Supervisor
from deploy.parts.kafka import SecondWay
from deploy.parts.ports import free_port
from omma.cores import cores
from services.egs.registry import load_model
from services.egs.triton.repository import Serving, write_repository

_BUCKET: Final = "omma"
_INBOX: Final = "inbox"
_HOST: Final = "127.0.0.1"


@dataclass
class Cluster:
    """What runs. shards: by shard, then replica. proxies: in the same order, when toxiproxy stands between.

    environment: the settings that reach the storage. kafka_proxy: the way of replica 0 of shard 0 to Kafka, then too.
    supervisor: starts services again that end; parts stay as they are left.
    """

    shape: Shape
    kafka: parts.Kafka
    minio: parts.Minio
    postgres: parts.Postgres
    triton: parts.Triton | None
    environment: Mapping[str, str]
    egs: Service
    rerank: Service | None
    indexer: Service
    worker: Service
    gateway: Service
    shards: list[list[Service]]
    supervisor: Supervisor
    proxies: list[list[parts.Proxy]] = field(default_factory=list)
    kafka_proxy: parts.Proxy | None = None

    @property
    def rest(self) -> str:
        """The gateway's address, `http://host:port`."""
        return f"http://{_HOST}:{self.gateway.http_port}"

    @property
    def grpc(self) -> str:
        return self.gateway.address

    @property
    def servers(self) -> dict[str, parts.Server]:
        """Everything that can be stopped and started, by name."""
        stores = [self.kafka, self.minio, self.postgres, *([self.triton] if self.triton else [])]
        every = [part.server for part in stores] + [one.server for one in self.services]
        return {server.name: server for server in every}

    @property
    def services(self) -> list[Service]:
        return [
            self.egs,
            *([self.rerank] if self.rerank else []),
            *(one for replicas in self.shards for one in replicas),
            self.indexer,
            self.worker,
            self.gateway,
        ]


@contextmanager
def cluster(shape: Shape) -> Iterator[Cluster]:
    """Everything, ready to answer; ended and its disks removed with the block, or with this process.

    Raises PartMissing, which says how to get the part; RuntimeError with the log of a service that does not come up.
    """
    with ExitStack() as stack:
        running = _composed(shape, stack)
        _start(running)
        stack.enter_context(running.supervisor)
        yield running


def _composed(shape: Shape, stack: ExitStack) -> Cluster:
    between = stack.enter_context(parts.toxiproxy()) if shape.toxiproxy else None
    second, kafka_proxy = None, None
    if between is not None:
        port = free_port(_HOST)
        kafka_proxy = between.proxy("kafka", f"{_HOST}:{port}")
        second = SecondWay(port, kafka_proxy.address)
    kafka = stack.enter_context(parts.kafka(second=second))
    postgres = stack.enter_context(parts.postgres())
    minio = stack.enter_context(parts.minio(notify=kafka, keep_events=shape.keep_events))
    triton = _triton(shape, stack) if shape.triton else None
    shards = [
        [
            _service(
                stack,
                f"shard-{shard}-{replica}",
                "services.nn_shard",
                disk_mib=0 if (shard, replica) != (0, 0) else shape.small_disk_mib,
            )
            for replica in range(shape.replicas)
        ]
        for shard in range(shape.shards)
    ]
    proxies = []
    if between is not None:
        proxies = [[between.proxy(one.name, one.address) for one in replicas] for replicas in shards]
    gateway = _service(stack, "gateway", "services.gateway", port=shape.grpc_port, http_port=shape.http_port or None)
    environment = {
        "OMMA_KAFKA__BROKERS": kafka.brokers,
        "OMMA_POSTGRES__URL": postgres.url,
        "OMMA_S3__ENDPOINT": minio.endpoint,
        "OMMA_S3__ACCESS_KEY": minio.access_key,
        "OMMA_S3__SECRET_KEY": minio.secret_key,
        "OMMA_S3__BUCKET": _BUCKET,
        "OMMA_S3__CREATE_BUCKET": "true",
        "OMMA_S3__INBOX": _INBOX if minio.arn else "",
        "OMMA_LOG_FORMAT": "text",
        **shape.environment,
    }
    egs = _service(stack, "egs", "services.egs")
    rerank = _service(stack, "rerank", "services.rerank") if shape.reranker else None
    indexer = _service(stack, "indexer", "services.indexer")
    worker = _service(stack, "worker", "services.worker")
    return Cluster(
        shape=shape,
        kafka=kafka,
        minio=minio,
        postgres=postgres,
        triton=triton,
        environment=environment,
        egs=egs,
        rerank=rerank,
        indexer=indexer,
        worker=worker,
        gateway=gateway,
        shards=shards,
        supervisor=Supervisor(
            [
                egs,
                *([rerank] if rerank else []),
                *(one for replicas in shards for one in replicas),
                indexer,
                worker,
                gateway,
            ]
        ),
        proxies=proxies,
        kafka_proxy=kafka_proxy,
    )


def _triton(shape: Shape, stack: ExitStack) -> parts.Triton:
    """On the CPU: the towers of the model, rendered for Triton's Python backend."""
    repository = Path(stack.enter_context(TemporaryDirectory(prefix="omma-triton-models-")))
    serving = Serving(platform="python", instances=cores())
    write_repository(load_model(Path(shape.models_dir), shape.model), repository, serving)
    return stack.enter_context(parts.triton(repository))


def _service(
    stack: ExitStack, name: str, module: str, *, port: int = 0, http_port: int | None = 0, disk_mib: int = 0
) -> Service:
    """http_port: None for a free one, 0 for none."""
    http = free_port(_HOST) if http_port is None else http_port
    service = Service(name, module, port or free_port(_HOST), http_port=http, disk_mib=disk_mib)
    stack.callback(service.server.close)
    return service


def _start(running: Cluster) -> None:
    common = running.environment
    if running.minio.arn:
        open_inbox(running.minio, _INBOX)
    model = {"OMMA_MODEL": running.shape.model, "OMMA_EGS__MODELS_DIR": str(Path(running.shape.models_dir).resolve())}
    triton = {"OMMA_TRITON__URL": running.triton.url} if running.triton else {}
    running.egs.start({**common, **model, **triton})
    if running.rerank:
        running.rerank.start(common)
    for shard, replicas in enumerate(running.shards):
        for replica, service in enumerate(replicas):
            own = {
                "OMMA_DATA_DIR": str(service.data_dir),
                "OMMA_SHARD__NUMBER": str(shard),
                "OMMA_SHARD__REPLICA": str(replica),
            }
            if running.kafka_proxy is not None and shard == replica == 0:
                own["OMMA_KAFKA__BROKERS"] = running.kafka_proxy.address
            service.start({**common, **own}, wait=False)
    running.indexer.start(
        {
            **common,
            "OMMA_INDEXER__EGS": running.egs.address,
            "OMMA_INDEXER__SHARDS": json.dumps([replicas[0].address for replicas in running.shards]),
        },
        wait=False,
    )
    running.worker.start(
        {
            **common,
            "OMMA_WORKER__SHARDS": json.dumps([[one.address for one in replicas] for replicas in running.shards]),
        },
        wait=False,
    )
    running.gateway.start(
        {
            **common,
            "OMMA_GATEWAY__EGS": running.egs.address,
            **({"OMMA_GATEWAY__RERANK": running.rerank.address} if running.rerank else {}),
            "OMMA_GATEWAY__SHARDS": json.dumps(_ways(running)),
        }
    )
    for service in running.services:
        service.server.until_ready()


def _ways(running: Cluster) -> Sequence[Sequence[str]]:
    """The replicas' addresses as the gateway sees them."""
    if running.proxies:
        return [[proxy.address for proxy in replicas] for replicas in running.proxies]
    return [[service.address for service in replicas] for replicas in running.shards]

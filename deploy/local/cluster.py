"""The parts and the services of a cluster, started in the order in which they can be, and taken down together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from deploy import parts
from deploy.local.inbox import open_inbox
from deploy.local.indexes import IndexProcesses, TopologyFiles
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
    """What runs. indexes: by name; the first is the one that a new catalog begins with.

    environment: the settings that reach the storage. kafka_proxy: the way of replica 0 of shard 0 to Kafka, with
    toxiproxy. supervisor: starts services again that end; parts stay as they are left.
    """

    shape: Shape
    kafka: parts.Kafka
    minio: parts.Minio
    postgres: parts.Postgres
    triton: parts.Triton | None
    environment: Mapping[str, str]
    indexes: dict[str, IndexProcesses]
    topology: TopologyFiles
    rerank: Service | None
    indexer: Service
    worker: Service
    gateways: Sequence[Service]
    supervisor: Supervisor
    kafka_proxy: parts.Proxy | None = None

    @property
    def first(self) -> IndexProcesses:
        return next(iter(self.indexes.values()))

    @property
    def egs(self) -> Service:
        """The first index's."""
        return self.first.egs

    @property
    def shards(self) -> Sequence[Sequence[Service]]:
        """The first index's, by shard, then replica."""
        return self.first.shards

    @property
    def proxies(self) -> Sequence[Sequence[parts.Proxy]]:
        """In the same order, when toxiproxy stands between."""
        return self.first.proxies

    @property
    def gateway(self) -> Service:
        return self.gateways[0]

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
        stores: list[Any] = [self.kafka, self.minio, self.postgres, *([self.triton] if self.triton else [])]
        every = [part.server for part in stores] + [one.server for one in self.services]
        return {server.name: server for server in every}

    @property
    def services(self) -> list[Service]:
        first, *others = self.indexes.values()
        return [
            first.egs,
            *([self.rerank] if self.rerank else []),
            *(one for one in first.services if one is not first.egs),
            *(one for index in others for one in index.services),
            self.indexer,
            self.worker,
            *self.gateways,
        ]

    def add_index(self, name: str, *, model: str, shards: int, replicas: int = 1) -> IndexProcesses:
        """Start an index's processes and name them in the topology. An embedder of its own, unless there is one of the
        model. Its shards take connections, and wait for a rollout. Raises RuntimeError for a name that is taken or a
        bad number; Absent for a model that is not there.
        """
        self._require_free(name, shards, replicas)
        model = load_model(Path(self.shape.models_dir), model).manifest.reference
        same = next((one for one in self.indexes.values() if one.model == model), None)
        index = IndexProcesses(
            name,
            model,
            Service(f"egs-{name}", "services.egs", free_port(_HOST)) if same is None else same.egs,
            _replicas(name, shards, replicas),
            owns_egs=same is None,
        )
        if same is None:
            index.egs.start({**self.environment, **_models(self.shape, model)})
        return self._added(index)

    def add_space(self, name: str, *, space: str, shards: int, replicas: int = 1) -> IndexProcesses:
        """As add_index, of a space whose vectors callers bring. Its shards wait for POST /spaces."""
        self._require_free(name, shards, replicas)
        processes = _replicas(name, shards, replicas)
        return self._added(IndexProcesses(name, "", self.first.egs, processes, owns_egs=False, space=space))

    def _require_free(self, name: str, shards: int, replicas: int) -> None:
        if name in self.indexes or min(shards, replicas) < 1:
            raise RuntimeError(f"{name!r} cannot be added: there are {', '.join(self.indexes)}; at least one shard.")

    def _added(self, index: IndexProcesses) -> IndexProcesses:
        for shard, replicas in enumerate(index.shards):
            for replica, service in enumerate(replicas):
                service.start({**self.environment, **index.shard_environment(shard, replica)}, wait=False)
        for replicas in index.shards:
            for service in replicas:
                service.server.until_ready(service.listens)
        for service in index.services:
            self.supervisor.watch(service)
        self.indexes[index.name] = index
        self.topology.write(self.indexes.values())
        return index

    def remove_index(self, name: str) -> None:
        """Take it from the topology and end its processes; their disks go. Raises RuntimeError for the only one, one
        that is not there, or one whose embedder another one uses.
        """
        index = self.indexes.get(name)
        if index is None or len(self.indexes) == 1:
            raise RuntimeError(f"{name!r} cannot be removed: there are {', '.join(self.indexes)}.")
        users = [one.name for one in self.indexes.values() if one is not index and one.egs is index.egs]
        if index.owns_egs and users:
            raise RuntimeError(f"The embedder of {name!r} is that of {', '.join(users)} as well.")
        del self.indexes[name]
        self.topology.write(self.indexes.values())
        for service in index.services:
            self.supervisor.forget(service)
            service.server.close()

    def close_indexes(self) -> None:
        """End whatever index's processes run."""
        for index in self.indexes.values():
            for service in index.services:
                service.server.close()


def _replicas(name: str, shards: int, replicas: int) -> list[list[Service]]:
    """Of each shard."""
    return [
        [Service(f"{name}-{shard}-{replica}", "services.nn_shard", free_port(_HOST)) for replica in range(replicas)]
        for shard in range(shards)
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
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="omma-topology-")))
    gateways = [
        _service(stack, "gateway", "services.gateway", port=shape.grpc_port, http_port=shape.http_port or None),
        *(
            _service(stack, f"gateway-{number}", "services.gateway", http_port=None)
            for number in range(1, shape.gateways)
        ),
    ]
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
    rerank = _service(stack, "rerank", "services.rerank") if shape.reranker else None
    indexer = _service(stack, "indexer", "services.indexer")
    worker = _service(stack, "worker", "services.worker")
    first = _first_index(shape, between)
    running = Cluster(
        shape=shape,
        kafka=kafka,
        minio=minio,
        postgres=postgres,
        triton=triton,
        environment=environment,
        indexes={first.name: first},
        topology=TopologyFiles(folder),
        rerank=rerank,
        indexer=indexer,
        worker=worker,
        gateways=gateways,
        supervisor=Supervisor([*first.services, *([rerank] if rerank else []), indexer, worker, *gateways]),
        kafka_proxy=kafka_proxy,
    )
    stack.callback(running.close_indexes)
    return running


def _first_index(shape: Shape, between: parts.Toxiproxy | None) -> IndexProcesses:
    shards = [
        [
            Service(
                f"shard-{shard}-{replica}",
                "services.nn_shard",
                free_port(_HOST),
                disk_mib=0 if (shard, replica) != (0, 0) else shape.small_disk_mib,
            )
            for replica in range(shape.replicas)
        ]
        for shard in range(shape.shards)
    ]
    proxies: list[list[parts.Proxy]] = []
    if between is not None:
        proxies = [[between.proxy(one.name, one.address) for one in replicas] for replicas in shards]
    model = load_model(Path(shape.models_dir), shape.model).manifest.reference
    egs = Service("egs", "services.egs", free_port(_HOST))
    return IndexProcesses(shape.index, model, egs, shards, proxies=proxies)


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
    common, first = running.environment, running.first
    if running.minio.arn:
        open_inbox(running.minio, _INBOX)
    running.topology.write(running.indexes.values())
    triton = {"OMMA_TRITON__URL": running.triton.url} if running.triton else {}
    first.egs.start({**common, **_models(running.shape, first.model), **triton})
    if running.rerank:
        running.rerank.start(common)
    for shard, replicas in enumerate(first.shards):
        for replica, service in enumerate(replicas):
            own = dict(first.shard_environment(shard, replica))
            if running.kafka_proxy is not None and shard == replica == 0:
                own["OMMA_KAFKA__BROKERS"] = running.kafka_proxy.address
            service.start({**common, **own}, wait=False)
    for service in (running.indexer, running.worker):
        service.start({**common, "OMMA_TOPOLOGY": str(running.topology.direct)}, wait=False)
    for gateway in running.gateways:
        gateway.start(
            {
                **common,
                "OMMA_TOPOLOGY": str(running.topology.proxied),
                **({"OMMA_GATEWAY__RERANK": running.rerank.address} if running.rerank else {}),
            }
        )
    for service in running.services:
        service.server.until_ready()


def _models(shape: Shape, model: str) -> Mapping[str, str]:
    return {"OMMA_MODEL": model, "OMMA_EGS__MODELS_DIR": str(Path(shape.models_dir).resolve())}

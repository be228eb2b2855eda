"""A release on a real cluster, its PostgreSQL, Kafka and MinIO on this machine."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import httpx
import pytest
from grpc import ChannelCredentials, ssl_channel_credentials

from deploy import parts
from deploy.local.inbox import open_inbox
from tests.certificates import Authority
from tests.databases import shared_database
from tests.kubernetes.cluster import Failed, Namespace, ask, host, until
from tests.part_fixtures import left_out

KEY = "a-key-for-the-first-admin"
IMAGE = os.environ.get("OMMA_TEST_IMAGE", "omma:0.1.0")
CHANGED_IMAGE = os.environ.get("OMMA_TEST_CHANGED_IMAGE", "")
"""What `python -m tests.kubernetes.changed` is the source of, for an upgrade; else its pods differ by an annotation."""
TRITON_IMAGE = os.environ.get("OMMA_TEST_TRITON_IMAGE", "")
"""What deploy/images/triton.Dockerfile makes, or NVIDIA's; without one the towers run in EGS."""
NGINX_IMAGE = os.environ.get("OMMA_TEST_NGINX_IMAGE", "")
"""What deploy/images/nginx.Dockerfile makes, or nginx's own; without one there is no NGINX before the gateway."""
SHORT = os.environ.get("OMMA_TEST_KUBERNETES") == "short"
_PICTURES = int(os.environ.get("OMMA_TEST_KUBERNETES_PICTURES", "60" if SHORT else "2000"))
_MAIN = "main"
_FIGURES = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class Servers:
    """run: of this session, in the names of what is made on them."""

    kafka: parts.Kafka
    minio: parts.Minio
    postgres: parts.Postgres
    run: str


@dataclass
class World:
    """database: its address. values: what the release is installed with. authority: who signs for its services. folder:
    for files. inbox: a bucket that tells its Kafka what is put into it; "" for none.
    """

    namespace: Namespace
    database: str
    values: dict[str, Any]
    authority: Authority
    folder: Path
    inbox: str = ""

    @property
    def rest(self) -> str:
        return f"http://{self.namespace.node_port('r-omma-gateway', 'http')}"

    @property
    def grpc(self) -> str:
        return self.namespace.node_port("r-omma-gateway", "grpc")

    def certify(self, authority: Authority, *trusted: Authority) -> bytes:
        """A new certificate of the authority for every service, in the Secret `tls`; trusted: beside the authority
        itself. Returns it, as PEM.
        """
        certificate, key = authority.signed(",".join(f"DNS:{name}" for name in _names(self.values)))
        authorities = b"".join(one.certificate.read_bytes() for one in (authority, *trusted))
        files = {"tls.crt": certificate, "tls.key": key, "ca.crt": authorities}
        self.namespace.secret("tls", **{name: content.decode() for name, content in files.items()})
        return certificate

    def credentials(self) -> ChannelCredentials:
        """Of a caller whom the gateway trusts."""
        certificate, key = self.authority.signed("DNS:caller")
        return ssl_channel_credentials(self.authority.certificate.read_bytes(), key, certificate)

    def schema(self) -> str:
        """Of the catalog, as Alembic calls it."""

        async def asked() -> str:
            connection = await asyncpg.connect(self.database)
            try:
                return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
            finally:
                await connection.close()

        return asyncio.run(asked())

    @contextmanager
    def of_a_later_schema(self, revision: str) -> Iterator[None]:
        """Its catalog says that it is of this one."""
        own = self.schema()
        self._tell(f"UPDATE alembic_version SET version_num = '{revision}'")
        try:
            yield
        finally:
            self._tell(f"UPDATE alembic_version SET version_num = '{own}'")

    def _tell(self, statement: str) -> None:
        async def told() -> None:
            connection = await asyncpg.connect(self.database)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(told())

    def uids(self) -> set[str]:
        """Of its pods."""
        return {pod["metadata"]["uid"] for pod in self.namespace.pods()}

    def healthy(self) -> bool:
        with self.client() as client:
            return bool(client.get("/health").json()["ok"])

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.rest, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    if not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None:
        left_out("Kubernetes", "set KUBECONFIG, with kubectl and helm on PATH, and load the image: make e2e-kubernetes")
    run = secrets.token_hex(3)
    with ExitStack() as running:
        # Twenty pods that start at once took its turn for longer than the two seconds of other tests.
        kafka = running.enter_context(parts.kafka(host(), session_seconds=60))
        inbox = f"{_name(_MAIN, run)}.omma.inbox"
        minio = running.enter_context(parts.minio(host(), notify=kafka, topic=inbox))
        postgres = running.enter_context(parts.postgres(host(), fsync=False))
        yield Servers(kafka, minio, postgres, run)


@pytest.fixture(scope="session")
def program() -> Path:
    return Path(shutil.which("helm") or "helm")


@pytest.fixture(scope="session")
def world(servers: Servers, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with made(servers, program, _MAIN, tmp_path_factory.mktemp(_MAIN)) as new:
        if servers.minio.own is not None:  # another one notifies of what it was told to
            new.inbox = f"{new.namespace.name}-inbox"
            open_inbox(servers.minio, new.inbox)
            new.values["s3"]["inbox"] = new.inbox
        yield new


@pytest.fixture(scope="session")
def installed(world: World, report: Callable[[str, object], None]) -> World:
    """Its release answers."""
    began = monotonic()
    world.namespace.release("install", world.values)
    until("an answer", world.healthy)
    report("seconds from helm install to the first answer", round(monotonic() - began))
    return world


@contextmanager
def made(servers: Servers, program: Path, what: str, folder: Path) -> Iterator[World]:
    """A namespace with its secrets, and values for it; nothing is installed yet. Gone with the block."""
    namespace = Namespace(_name(what, servers.run), program)
    with shared_database(servers.postgres) as database, _gone_afterwards(namespace):
        namespace.secret("postgres", url=database)
        namespace.secret("s3", **{"access-key": servers.minio.access_key, "secret-key": servers.minio.secret_key})
        namespace.secret("admin", key=KEY)
        new = World(namespace, database, values(servers, namespace), Authority.made(folder / "authority"), folder)
        new.certify(new.authority)
        certificate, key = new.authority.signed("DNS:page")
        namespace.secret("page", **{"tls.crt": certificate.decode(), "tls.key": key.decode()})
        yield new


def _name(what: str, run: str) -> str:
    """Of a namespace, and the prefix of its topics."""
    return f"omma-{what}-{run}"


@contextmanager
def _gone_afterwards(namespace: Namespace) -> Iterator[None]:
    ask("kubectl", "create", "namespace", namespace.name)
    try:
        yield
    finally:
        with suppress(Failed):  # when nothing was installed
            ask(namespace.helm, "-n", namespace.name, "uninstall", "r", "--wait", "--timeout", "120s")
        ask("kubectl", "delete", "namespace", namespace.name, "--timeout=120s")


def values(servers: Servers, namespace: Namespace) -> dict[str, Any]:
    """Two replicas of everything that a search needs, as small as they go."""
    small = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "768Mi"}}
    return {
        "image": image(IMAGE),
        "tls": {"enabled": True, "existingSecret": "tls"},
        "postgres": {"existingSecret": "postgres"},
        "kafka": {"brokers": servers.kafka.brokers, "replicationFactor": 1, "prefix": f"{namespace.name}."},
        "s3": {
            "endpoint": servers.minio.endpoint,
            "bucket": "omma",
            "prefix": namespace.name,
            "existingSecret": "s3",
            "createBucket": True,
        },
        "auth": {"adminKeySecret": "admin"},
        "indexes": [
            {
                "name": "main",
                "model": "omma-mini",
                "shards": 2,
                "replicas": 2,
                "resources": small,
                "storage": {"size": "1Gi"},
            }
        ],
        "gateway": {"replicas": 2, "resources": small, "service": {"type": "NodePort"}},
        "page": {
            "nginx": {
                "enabled": bool(NGINX_IMAGE),
                "tlsSecret": "page",
                "image": image(NGINX_IMAGE or "none:0"),
                "service": {"type": "NodePort"},
                "resources": small,
            }
        },
        "egs": {"replicas": 2, "resources": {**small, "limits": {"cpu": "2", "memory": "1Gi"}}},
        "indexer": {"replicas": 2, "resources": small},
        "worker": {"replicas": 2, "resources": small},
        "triton": {
            "enabled": bool(TRITON_IMAGE),
            "image": image(TRITON_IMAGE or "none:0"),
            "platform": "python",
            "gpu": 0,
            "resources": {**small, "limits": {"memory": "1Gi"}},
        },
        "networkPolicy": {  # the parts listen on free ports
            name: {"ports": [int(address.rpartition(":")[2])], "to": []}
            for name, address in (
                ("kafka", servers.kafka.brokers),
                ("s3", servers.minio.endpoint),
                ("postgres", servers.postgres.url.rpartition("/")[0]),
            )
        },
    }


def image(reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}


def _names(values: dict[str, Any]) -> list[str]:
    """What services call each other."""
    names = ["r-omma-gateway"]
    for index in values["indexes"]:
        names.append(f"r-omma-egs-{index['model']}")
        for shard in (f"r-omma-shard-{index['name']}-{number}" for number in range(index["shards"])):
            names += [shard, *(f"{shard}-{replica}.{shard}" for replica in range(index["replicas"]))]
    return names


@pytest.fixture(scope="session")
def pictures(photographs: Path) -> list[Path]:
    return sorted((photographs / "caltech-101").rglob("*.jpg"))[:: max(1, 5_800 // _PICTURES)][:_PICTURES]


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Figures of this run, told in the end, also of one that is interrupted."""
    told = request.config.stash.setdefault(_FIGURES, [])
    return lambda what, value: told.append(f"{what}: {value}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(_FIGURES, []):
        terminalreporter.section("figures")
        terminalreporter.write("\n".join([*told, ""]))

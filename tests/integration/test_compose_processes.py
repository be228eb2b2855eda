"""compose.yaml without Docker: its processes, environment and health checks, on real parts, behind its NGINX.

Only addresses, passwords and folders are this machine's.
"""

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest

from deploy import parts
from deploy.compose.settings import compose, environments
from deploy.parts.ports import free_port
from tests.conftest import ROOT
from tests.databases import shared_database
from tests.nginx import running_nginx
from tests.pictures import encoded, scene

_HOST = "127.0.0.1"
_SECONDS = 240


@dataclass
class Composed:
    """addresses: what compose.yaml says, and what it is here."""

    addresses: dict[str, str]
    passwords: dict[str, str]
    servers: dict[str, parts.Server] = field(default_factory=dict)
    http_port: int = field(default_factory=partial(free_port, _HOST))

    def start_all(self, services: dict[str, dict[str, str]]) -> None:
        """Each once those that it depends on are healthy, as Compose does it; returns when all of them are."""
        healthy: set[str] = set()
        until = time.monotonic() + _SECONDS
        while healthy != services.keys():
            for service, environment in services.items():
                needed = compose()["services"][service].get("depends_on", {}).keys() & services.keys()
                if service not in self.servers and needed <= healthy:
                    self.start(service, environment)
            healthy |= {service for service in self.servers.keys() - healthy if self.healthy(service)}
            ended = {name: server.log()[-2000:] for name, server in self.servers.items() if not server.running()}
            assert not ended
            assert time.monotonic() < until, {name: self.servers[name].log()[-800:] for name in self.servers}

    def start(self, service: str, environment: dict[str, str]) -> None:
        server = parts.Server(service)
        self.servers[service] = server
        command = compose()["services"][service]["command"]
        own = {**self.here(environment), "PYTHONPATH": str(ROOT), "OMMA_METRICS_PORT": "0"}
        own |= {name: str(server.folder) for name in ("OMMA_DATA_DIR", "TMPDIR") if name in own}
        own["OMMA_GRPC_PORT"] = self.addresses[f"{service}:9090"].rpartition(":")[2]
        server.start([sys.executable, *command[1:]], lambda: self.healthy(service), own, wait=False)

    def here(self, environment: dict[str, str]) -> dict[str, str]:
        """Some service's environment, on this machine."""
        return {name: self._here(value) for name, value in environment.items()} | {
            "OMMA_HTTP_PORT": str(self.http_port),
            "OMMA_KAFKA__PREFIX": self.passwords["PREFIX"],
            "OMMA_S3__PREFIX": self.passwords["PREFIX"],
        }

    def _here(self, value: str) -> str:
        value = re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda one: self.passwords.get(one[1], one[2] or ""), value)
        for ours, here in self.addresses.items():
            value = value.replace(ours, here)
        return value

    def healthy(self, service: str) -> bool:
        """What Compose's own check of it says."""
        check = [
            word.replace("127.0.0.1:8080", f"{_HOST}:{self.http_port}")
            for word in compose()["services"][service]["healthcheck"]["test"][1:]
        ]
        port = self.addresses[f"{service}:9090"].rpartition(":")[2]
        environment = {**os.environ, "OMMA_GRPC_PORT": port}
        return subprocess.call([sys.executable, *check[1:]], env=environment, stderr=subprocess.DEVNULL) == 0


@pytest.fixture(scope="module")
def composed(postgres: parts.Postgres, kafka: parts.Kafka, minio: parts.Minio) -> Iterator[Composed]:
    services = environments()
    with ExitStack() as stack:
        running = Composed(
            addresses={
                "postgresql://omma@postgres:5432/omma": stack.enter_context(shared_database(postgres)),
                "kafka:9092": kafka.brokers,
                "http://minio:9000": minio.endpoint,
                "/models": str(ROOT / "models"),
                **{f"{service}:9090": f"{_HOST}:{free_port(_HOST)}" for service in services},
            },
            passwords={
                "POSTGRES_PASSWORD": "unused-here",
                "MINIO_USER": minio.access_key,
                "MINIO_PASSWORD": minio.secret_key,
                "PREFIX": f"compose{os.getpid()}",
            },
        )
        stack.callback(lambda: [server.close() for server in running.servers.values()])
        running.start_all(services)
        yield running


@pytest.mark.timeout(_SECONDS + 120)
def test_a_key_is_made_a_picture_uploaded_and_found_over_tls_on_all_shards(composed: Composed) -> None:
    tool = compose()["services"]["omma"]["environment"]
    made = subprocess.run(
        [sys.executable, "-m", "services.standalone", "key", "create", "me", "--role", "admin", "--json"],
        env={**os.environ, **composed.here(tool)},
        capture_output=True,
        text=True,
        check=True,
    )
    key = {"Authorization": f"Bearer {json.loads(made.stdout)['secret']}"}
    rest = f"http://{_HOST}:{composed.http_port}"
    with running_nginx(rest, composed.addresses["gateway:9090"]) as (url, _, certificate):
        authority = ssl.create_default_context(cafile=certificate)
        with httpx.Client(base_url=url, verify=authority, timeout=60) as client:
            assert client.get("/images").status_code == 401
            client.headers.update(key)
            pictures = [encoded(scene(seed=seed)) for seed in range(8)]
            answers = [client.post("/images", files={"image": one}) for one in pictures]
            assert [one.status_code for one in answers] == [201] * len(answers), [one.text for one in answers]
            uploads = [one.json() for one in answers]
            receipts = ",".join(one["receipt"] for one in uploads)
            for picture, upload in zip(pictures, uploads, strict=True):
                wanted = {"k": 1, "timeout_ms": 30_000, "receipts": receipts}
                found = client.post("/search", files={"image": picture}, data=wanted).json()
                assert [hit["id"] for hit in found["results"]] == [upload["id"]], found
                assert found["coverage"] == {"fraction": 1.0, "shards_answered": 4, "shards_total": 4}
                assert found["degraded"] == []

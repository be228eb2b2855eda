"""Processes that start before what they need: they wait, say for what, answer health checks, and go on."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy import parts
from deploy.local.service import Service
from deploy.parts.ports import free_port
from omma.errors import ReplicaDown, WrongState
from omma.rpc.server import LIVENESS
from omma.storage import StorageSettings, open_storage
from tests.buckets import bucket_settings
from tests.certificates import self_signed
from tests.conftest import ROOT
from tests.databases import fresh_database
from tests.waiting import until

WITHIN_SECONDS: Final = 90.0
"""Of a machine that does much else; a wait is over as soon as what it waits for is there."""


def storage_settings(
    folder: Path, kafka: parts.Kafka, minio: parts.Minio, url: str, **more: dict[str, Any]
) -> StorageSettings:
    given: dict[str, Any] = {
        "postgres": {"url": url},
        "kafka": {"brokers": kafka.brokers},
        "s3": bucket_settings(minio).model_dump() | {"secret_key": minio.secret_key},
    }
    return StorageSettings.model_validate(
        {"data_dir": folder} | {name: given[name] | more.get(name, {}) for name in given}
    )


@pytest.fixture
def services() -> Iterator[dict[str, Service]]:
    """One of each, none started."""
    with ExitStack() as stack:
        made = {
            name: Service(
                name,
                f"services.{module}",
                free_port("127.0.0.1"),
                http_port=free_port("127.0.0.1") if name == "gateway" else 0,
            )
            for name, module in (
                ("egs", "egs"),
                ("rerank", "rerank"),
                ("shard", "nn_shard"),
                ("indexer", "indexer"),
                ("gateway", "gateway"),
            )
        }
        for one in made.values():
            stack.callback(one.server.close)
        yield made


def environments(
    services: dict[str, Service], kafka: parts.Kafka, minio: parts.Minio, url: str
) -> dict[str, dict[str, str]]:
    """What each service is told: storage of their own, and each other."""
    own = bucket_settings(minio)
    storage = {
        "OMMA_POSTGRES__URL": url,
        "OMMA_KAFKA__BROKERS": kafka.brokers,
        "OMMA_KAFKA__PREFIX": f"{own.bucket}.",
        "OMMA_S3__BUCKET": own.bucket,
        "OMMA_S3__CREATE_BUCKET": "true",
        "OMMA_S3__ENDPOINT": own.endpoint,
        "OMMA_S3__ACCESS_KEY": own.access_key,
        "OMMA_S3__SECRET_KEY": own.secret_key.get_secret_value(),
    }
    return {
        "egs": {"OMMA_EGS__MODELS_DIR": str(ROOT / "models")},
        "rerank": {},
        "indexer": storage | {"OMMA_INDEXER__EGS": services["egs"].address},
        "shard": storage | {"OMMA_DATA_DIR": str(services["shard"].data_dir)},
        "gateway": storage
        | {
            "OMMA_GATEWAY__EGS": services["egs"].address,
            "OMMA_GATEWAY__RERANK": services["rerank"].address,
            "OMMA_GATEWAY__SHARDS": json.dumps([[services["shard"].address]]),
        },
    }


def health(service: Service, name: str = "") -> int:
    """What grpc.health.v1 says; 0 while nobody listens."""
    with grpc.insecure_channel(service.address) as channel:
        try:
            return (
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=2).status
            )
        except grpc.RpcError:
            return 0


def told(service: Service) -> list[str]:
    """The messages of its log."""
    return [str(json.loads(line)["message"]) for line in service.server.log().splitlines() if line.startswith("{")]


async def reaches(what: str, condition: Any) -> None:
    await asyncio.to_thread(until, condition, WITHIN_SECONDS, what)


@pytest.mark.timeout(400)
async def test_processes_wait_for_each_part_and_go_on(
    services: dict[str, Service], kafka: parts.Kafka, minio: parts.Minio, postgres: parts.Postgres
) -> None:
    gateway, waiting = services["gateway"], [services[name] for name in ("gateway", "indexer", "shard")]
    async with fresh_database(postgres) as url:
        own_of = environments(services, kafka, minio, url)

        def all_wait_for(*names: str) -> bool:
            return all(any(f"waiting for {name}" in told(one) for name in names) for one in waiting)

        for part in (postgres, kafka, minio):
            await asyncio.to_thread(part.server.kill)
        try:
            for one in waiting:
                one.start(own_of[one.name], wait=False)
            await reaches("PostgreSQL", lambda: all_wait_for("PostgreSQL"))
            for one in waiting:
                assert health(one, LIVENESS) == health_pb2.HealthCheckResponse.SERVING
                assert health(one) == health_pb2.HealthCheckResponse.NOT_SERVING
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.http_port}", trust_env=False) as rest:
                answers = {path: await rest.get(path) for path in ("/healthz", "/readyz", "/search?text=a")}
            assert [answer.status_code for answer in answers.values()] == [200, 503, 503]
            assert answers["/search?text=a"].json()["kind"] == "replica_down"
        finally:
            await asyncio.to_thread(postgres.server.restart)
        try:
            await reaches("Kafka", lambda: all_wait_for("Kafka"))
        finally:
            await asyncio.to_thread(kafka.server.restart)
        try:
            await reaches("S3", lambda: all_wait_for("the object storage"))
        finally:
            await asyncio.to_thread(minio.server.restart)
        await reaches("EGS", lambda: all_wait_for("EGS", "the index"))
        for name in ("rerank", "egs"):
            services[name].start(own_of[name], wait=False)
        for one in waiting:
            await reaches(one.name, one.ready)
            assert "Traceback" not in one.server.log()
            assert one.server.running(), "it is the process that was started first"
        for lost in ("shard", "egs"):
            await asyncio.to_thread(services[lost].server.kill)
            await callers_are_told_nothing_of_the_inside(gateway)


async def callers_are_told_nothing_of_the_inside(gateway: Service) -> None:
    """A search fails, in words that name nothing of ours; the log says under its id who did not answer, and where."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.http_port}", trust_env=False) as rest:
        said = await rest.get("/search", params={"text": "a red square"})
    assert said.status_code in (503, 504)
    assert not re.search(r"127\.0\.0|ipv4|grpc|connect|rpc|Status", said.json()["detail"], re.IGNORECASE)
    lines = [json.loads(line) for line in gateway.server.log().splitlines() if line.startswith("{")]
    reasons = [one["reason"] for one in lines if one.get("request_id") == said.json()["request_id"] and "reason" in one]
    assert any("127.0.0.1" in reason for reason in reasons), reasons


async def test_what_waiting_does_not_mend_ends_the_start_at_once(
    kafka: parts.Kafka, minio: parts.Minio, postgres: parts.Postgres, tmp_path: Path
) -> None:
    async with fresh_database(postgres) as url:
        wrong: list[tuple[str, dict[str, dict[str, Any]]]] = [
            ("OMMA_POSTGRES__URL", {"postgres": {"url": f"{url}_of_nobody"}}),
            ("OMMA_POSTGRES__URL", {"postgres": {"url": url.replace("omma@", "nobody@")}}),
            ("OMMA_S3__BUCKET", {"s3": {"secret_key": "wrong-enough"}}),
            ("OMMA_S3__BUCKET", {"s3": {"bucket": "not-made", "create_bucket": False}}),
        ]
        for field, settings in wrong:
            async with asyncio.timeout(WITHIN_SECONDS), AsyncExitStack() as stack:
                with pytest.raises(WrongState) as raised:
                    await open_storage(storage_settings(tmp_path, kafka, minio, url, **settings), stack)
            assert raised.value.field == field


async def test_an_unknown_host_is_waited_for_and_told(
    kafka: parts.Kafka, minio: parts.Minio, postgres: parts.Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a cluster a name may come with its server."""
    settings = storage_settings(tmp_path, kafka, minio, "postgresql://omma@no-such-host.invalid/omma")
    with caplog.at_level(logging.WARNING), pytest.raises(ReplicaDown):
        async with AsyncExitStack() as stack:
            await open_storage(settings, stack, patience_seconds=0.1)
    assert "waiting for PostgreSQL" in caplog.messages


async def test_a_process_with_a_setting_that_is_wrong_ends_with_a_line(
    services: dict[str, Service], minio: parts.Minio, postgres: parts.Postgres
) -> None:
    gateway, indexer = services["gateway"], services["indexer"]
    gateway.start({"OMMA_GATEWAY__RERANK": "a:1"}, wait=False)
    wrong = {"OMMA_POSTGRES__URL": f"{postgres.url}_of_nobody", "OMMA_INDEXER__EGS": "127.0.0.1:9"}
    indexer.start(wrong, wait=False)
    for one in (gateway, indexer):
        await reaches(one.name, lambda one=one: not one.server.running())
        assert "Traceback" not in one.server.log()
    assert "OMMA_TOPOLOGY names a file that does, or OMMA_GATEWAY__EGS and" in gateway.server.log()
    assert "PostgreSQL does not let us in" in indexer.server.log()


@pytest.mark.timeout(400)
async def test_services_speak_mutual_tls_with_each_other(
    services: dict[str, Service], kafka: parts.Kafka, minio: parts.Minio, postgres: parts.Postgres, tmp_path: Path
) -> None:
    files = self_signed(tmp_path, "IP:127.0.0.1")
    tls = {
        "OMMA_TLS__CERTIFICATE": str(files.certificate),
        "OMMA_TLS__KEY": str(files.key),
        "OMMA_TLS__AUTHORITY": str(files.authority),
    }
    gateway = services["gateway"]
    async with fresh_database(postgres) as url:
        for name, environment in environments(services, kafka, minio, url).items():
            services[name].start(environment | tls, wait=False)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.http_port}", trust_env=False) as rest:

            async def answer() -> dict[str, Any]:
                said = await rest.get("/search", params={"text": "a red square", "timeout_ms": 5000})
                return dict(said.json()) if said.status_code == 200 else {}

            async with asyncio.timeout(WITHIN_SECONDS):
                await reaches("the gateway", gateway.ready)
                while not (found := await answer()):  # noqa: ASYNC110  it is another process's
                    await asyncio.sleep(0.2)
        assert (found["degraded"], found["coverage"]["shards_answered"]) == ([], 1), "embedded, searched and re-ranked"
        assert health(services["shard"], LIVENESS) == 0, "nobody is answered in plain text"

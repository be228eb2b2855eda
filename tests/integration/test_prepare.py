"""What goes before an install or an upgrade: schema, bucket and topic, or a line that says what is wrong."""

import asyncio
import os
import secrets
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from deploy.parts import Kafka, Minio, Postgres
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.records import IMAGES_TOPIC
from tests.conftest import ROOT
from tests.databases import shared_database


@pytest.mark.timeout(600)
def test_it_makes_what_is_absent_and_refuses_a_newer_schema(
    kafka: Kafka, minio: Minio, postgres: Postgres, tmp_path: Path
) -> None:
    prefix = f"prepare-{secrets.token_hex(4)}."
    with shared_database(postgres) as url:
        environment = {
            "OMMA_POSTGRES__URL": url,
            "OMMA_POSTGRES__NEWER_SCHEMA": "refuse",
            "OMMA_KAFKA__BROKERS": kafka.brokers,
            "OMMA_KAFKA__PREFIX": prefix,
            "OMMA_S3__ENDPOINT": minio.endpoint,
            "OMMA_S3__ACCESS_KEY": minio.access_key,
            "OMMA_S3__SECRET_KEY": minio.secret_key,
            "OMMA_S3__BUCKET": "prepared",
            "OMMA_S3__CREATE_BUCKET": "true",
            "OMMA_INDEXER__IMAGES_PARTITIONS": "3",
            "OMMA_METRICS_PORT": "0",
            "OMMA_DATA_DIR": str(tmp_path),
        }
        done = prepare(environment)
        assert done.returncode == 0, done.stderr
        assert asyncio.run(partitions(kafka, prefix)) == 3
        asyncio.run(tell(url, "INSERT INTO spaces VALUES ('s', 'm@1.0.0', 'sig', 4, 8, 'ip')"))
        asyncio.run(tell(url, "INSERT INTO indexes VALUES ('main', 's', 'Flat', 1, 'live', NULL, NULL)"))
        kept = {**environment, "OMMA_PREPARE_INDEXES": '["next", "main"]'}
        assert prepare(kept).returncode == 0
        lost = prepare({**environment, "OMMA_PREPARE_INDEXES": '["next"]'})
        assert lost.returncode == 1 and "Index main is live" in lost.stderr
        asyncio.run(tell(url, "UPDATE indexes SET state = 'retired'"))
        assert prepare({**environment, "OMMA_PREPARE_INDEXES": '["next"]'}).returncode == 0
        asyncio.run(tell(url, "UPDATE alembic_version SET version_num = '9999'"))
        refused = prepare(environment)
        assert refused.returncode == 1 and "9999, of a later version" in refused.stderr
        accepted = prepare({**environment, "OMMA_POSTGRES__NEWER_SCHEMA": "accept"})  # as what serves, and a rollback
        assert (
            accepted.returncode == 0 and "9999, of a later version of Omma than this one. It is used" in accepted.stderr
        )
        wrong = prepare({**environment, "OMMA_POSTGRES__URL": url.rpartition("/")[0] + "/absent"})
        assert wrong.returncode == 1 and "OMMA_POSTGRES__URL" in wrong.stderr


def prepare(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OMMA_")}
    command = [sys.executable, "-m", "services.indexer.prepare"]
    return subprocess.run(command, env={**own, **environment}, cwd=ROOT, capture_output=True, text=True, check=False)


async def partitions(kafka: Kafka, prefix: str) -> int:
    log = await KafkaLog.open(KafkaSettings(brokers=kafka.brokers, prefix=prefix))
    try:
        return next(spec.partitions for spec in await log.topics() if spec.name == IMAGES_TOPIC)
    finally:
        await log.close()


async def tell(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

"""MinIO, built from its Go module. OMMA_TEST_S3=http://host:port with …_ACCESS_KEY, …_SECRET_KEY uses another one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3

from deploy.parts.cache import go_program
from deploy.parts.http import get_ok
from deploy.parts.kafka import Kafka
from deploy.parts.missing import PartMissing
from deploy.parts.ports import free_port
from deploy.parts.server import Server

VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
_ACCESS_KEY: Final = "omma-test"
_SECRET_KEY: Final = "omma-test-secret"


@dataclass(frozen=True)
class Minio:
    """endpoint: http://host:port. arn: of the notifications to Kafka, for a bucket's configuration; "" without."""

    endpoint: str
    access_key: str
    secret_key: str
    arn: str
    own: Server | None

    def environment(self) -> dict[str, str]:
        """What points other tests at it."""
        return {
            "OMMA_TEST_S3": self.endpoint,
            "OMMA_TEST_S3_ACCESS_KEY": self.access_key,
            "OMMA_TEST_S3_SECRET_KEY": self.secret_key,
            "OMMA_TEST_S3_ARN": self.arn,
        }

    def client(self) -> Any:
        """boto3's, of S3."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )

    @property
    def server(self) -> Server:
        """What a fault run kills. Raises PartMissing for a server that was given."""
        if self.own is None:
            raise PartMissing("MinIO", "the one in OMMA_TEST_S3 cannot be stopped from here; unset it")
        return self.own


@contextmanager
def minio(
    host: str = "127.0.0.1", *, notify: Kafka | None = None, topic: str = "omma.inbox", keep_events: bool = True
) -> Iterator[Minio]:
    """notify: where events of buckets that are configured so go, to an existing topic.

    keep_events: on MinIO's disk while Kafka is away, which MinIO looks through every 3 s; else they go at once, or are
    lost.
    """
    given = os.environ.get("OMMA_TEST_S3")
    if given:
        keys = os.environ.get("OMMA_TEST_S3_ACCESS_KEY", ""), os.environ.get("OMMA_TEST_S3_SECRET_KEY", "")
        yield Minio(given, *keys, os.environ.get("OMMA_TEST_S3_ARN", ""), None)
        return
    program = install_minio()
    server = Server("minio")
    try:
        address = f"{host}:{free_port(host)}"
        env = {"MINIO_ROOT_USER": _ACCESS_KEY, "MINIO_ROOT_PASSWORD": _SECRET_KEY, "MINIO_BROWSER": "off"}
        if notify is not None:
            env |= {
                "MINIO_NOTIFY_KAFKA_ENABLE_OMMA": "on",
                "MINIO_NOTIFY_KAFKA_BROKERS_OMMA": notify.brokers,
                "MINIO_NOTIFY_KAFKA_TOPIC_OMMA": topic,
            }
            if keep_events:
                env["MINIO_NOTIFY_KAFKA_QUEUE_DIR_OMMA"] = str(server.folder / "events")
        data = server.folder / "data"
        server.start(
            [program, "server", data, "--address", address, "--quiet"],
            lambda: get_ok(f"http://{address}/minio/health/cluster"),
            env,
        )
        arn = "arn:minio:sqs::OMMA:kafka" if notify is not None else ""
        yield Minio(f"http://{address}", _ACCESS_KEY, _SECRET_KEY, arn, server)
    finally:
        server.close()


def install_minio() -> Path:
    """Its program, built once. Raises PartMissing."""
    return go_program("minio", "github.com/minio/minio", VERSION)

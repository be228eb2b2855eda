"""The two worlds of the walk."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.contract_world import SETTINGS, World, filled
from tests.e2e.process import Folder
from tests.integration.small_cluster import small_cluster

BUCKET = "source"


@pytest.fixture(scope="package", params=["one process", "cluster"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "one process":
        source = tmp_path_factory.mktemp("source")
        with Folder(tmp_path_factory.mktemp("contract")).up(**SETTINGS) as server:
            with httpx.Client(base_url=server.url, timeout=120) as rest:
                put = partial(_put_file, source)
                yield filled(World(rest, server.grpc, reads_folders=True, source=str(source), put=put))
            assert server.stop() == 0, "ends cleanly on SIGTERM"
        return
    settings = {**SETTINGS, "OMMA_WORKER__JOB_POLL_SECONDS": "0.2", "OMMA_SHARD__STALE_SECONDS": "900"}
    with small_cluster(2, 1, **settings) as running, httpx.Client(base_url=running.rest, timeout=120) as rest:
        s3 = running.minio.client()
        s3.create_bucket(Bucket=BUCKET)
        put = partial(_put_object, s3)
        yield filled(World(rest, running.grpc, reads_folders=False, source=f"s3://{BUCKET}", put=put))


def _put_file(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def _put_object(s3: Any, name: str, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=name, Body=content)

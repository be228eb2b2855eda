"""The worlds of the walk: one process, one process after a rollout to another model, and a cluster of real parts after
a rollout to other shards.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.contract_world import SETTINGS, World, filled
from tests.e2e.process import Folder
from tests.integration.small_cluster import small_cluster
from tests.rolled_out import rolled_out

BUCKET = "source"
FORMER, MODEL = "omma-mini@1.1.0", "omma-mini@1.3.0"


@pytest.fixture(scope="package", params=["one process", "one process, another model", "cluster, other shards"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Filled; where a rollout belongs to it, before it, so that what is walked on is what a rollout made."""
    if request.param.startswith("cluster"):
        yield from _cluster()
        return
    source = tmp_path_factory.mktemp("source")
    again = request.param != "one process"
    settings = {**SETTINGS, "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.5", "OMMA_MODEL": FORMER if again else MODEL}
    with Folder(tmp_path_factory.mktemp("contract")).up(**settings) as server:
        with httpx.Client(base_url=server.url, timeout=120) as rest:
            put = partial(_put_file, source)
            world = filled(World(rest, server.grpc, reads_folders=True, source=str(source), put=put))
            if again:
                _rolled_out(world, model=MODEL)
            yield world
        assert server.stop() == 0, "ends cleanly on SIGTERM"


def _cluster() -> Iterator[World]:
    settings = {
        **SETTINGS,
        "OMMA_WORKER__JOB_POLL_SECONDS": "0.2",
        "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.5",
        "OMMA_SHARD__STALE_SECONDS": "900",
        "OMMA_SHARD__CATALOG_SECONDS": "1",
    }
    with small_cluster(2, 1, **settings) as running, httpx.Client(base_url=running.rest, timeout=120) as rest:
        s3 = running.minio.client()
        s3.create_bucket(Bucket=BUCKET)
        put = partial(_put_object, s3)
        world = filled(World(rest, running.grpc, reads_folders=False, source=f"s3://{BUCKET}", put=put))
        running.add_index("again", model=MODEL, shards=3)
        _rolled_out(world, index="again", shards=3)
        yield world


def _rolled_out(world: World, **asked: Any) -> None:
    index = rolled_out(world.rest, **asked)
    assert world.search(image_id=world.ids[0], receipts=world.receipts)["index"] == index


def _put_file(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def _put_object(s3: Any, name: str, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=name, Body=content)

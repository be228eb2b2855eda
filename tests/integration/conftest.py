"""What several integration tests run on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.storage import StorageSettings
from tests.databases import fresh_database
from tests.integration.truth_world import TruthWorld, cluster_settings, truth_world


@pytest.fixture(params=["embedded", "cluster"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TruthWorld]:
    """Everything that keeps pictures, on one machine's storage and on the cluster's."""
    if request.param == "embedded":
        async with truth_world(StorageSettings(data_dir=tmp_path), tmp_path) as world:
            yield world
        return
    kafka, minio, postgres = map(request.getfixturevalue, ("kafka", "minio", "postgres"))
    async with (
        fresh_database(postgres) as url,
        truth_world(cluster_settings(tmp_path, kafka, minio, url), tmp_path) as world,
    ):
        yield world

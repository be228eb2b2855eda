"""A short fault run: the most telling ones, caused for real in a small cluster under load. `make chaos` causes all."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local import Cluster
from loadtests.chaos.census import until_whole
from loadtests.chaos.faults import down, faults_of
from loadtests.chaos.ledger import Ledger
from loadtests.chaos.run import WHOLE_SECONDS, fault_caused, load_references
from loadtests.chaos.traffic import Reference, ask
from tests.integration.small_cluster import small_cluster

SECONDS = 4.0
"""That each fault stays."""


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    with small_cluster(2, 2) as made:
        yield made


@pytest.fixture(scope="module")
def references(running: Cluster, photographs: Path) -> list[Reference]:
    every = sorted((photographs / "caltech-101").glob("*/*.jpg"))
    return load_references(running, every[:: len(every) // 20][:20])


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """Of all the faults: what was acknowledged before the first must be there after the last."""
    return Ledger()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "name",
    [
        "one replica of every shard down",
        "both replicas of a shard down",
        "a replica hung",
        "indexer killed",
        "gateway killed",
        "Kafka killed",
        "PostgreSQL killed",
        "MinIO killed",
    ],
)
def test_the_cluster_lives_through(running: Cluster, references: list[Reference], ledger: Ledger, name: str) -> None:
    (fault,) = [one for one in faults_of(running) if one.name == name]
    result = fault_caused(running, fault, references, ledger, seconds=SECONDS, name=name)
    assert result.complaints() == []
    assert "vector" in fault.may_fail or result.count("whole", "partial"), "searches were answered meanwhile"
    assert result.acknowledged, "writes were acknowledged, if only afterwards"


def test_who_demands_the_whole_is_refused_while_a_shard_is_gone(
    running: Cluster, references: list[Reference], ledger: Ledger
) -> None:
    with httpx.Client(base_url=running.rest, timeout=30) as client, down(lambda it: it.shards[1], running):
        covered = ask(client, "vector", references[0])
        assert covered.status_code == 200
        assert covered.json()["coverage"]["fraction"] < 1
        assert covered.json()["degraded"] == ["shard_missing"]
        refused = ask(client, "vector", references[0], min_coverage=1)
        assert (refused.status_code, refused.json()["field"]) == (503, "min_coverage")
    until_whole(running, len(references) + len(ledger.living()), WHOLE_SECONDS)

"""A cluster of real parts that is small enough for a test."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy import parts
from deploy.local import Cluster, Shape, cluster
from tests.conftest import ROOT
from tests.part_fixtures import skip_without


@contextmanager
def small_cluster(shards: int, replicas: int, **settings: str) -> Iterator[Cluster]:
    """With omma-mini inside EGS. settings: OMMA_… of every service. Skips the test where a part is missing."""
    shape = Shape(shards, replicas, models_dir=str(ROOT / "models"), triton=False, environment=settings)
    try:
        with cluster(shape) as running:
            yield running
    except parts.PartMissing as missing:
        skip_without(missing)

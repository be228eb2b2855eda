"""One process with a folder answers as a cluster on Kafka, PostgreSQL and MinIO does: 1 shard as 2 with replicas.

The long comparison is `python -m loadtests.congruence`.
"""

from pathlib import Path

import pytest

from deploy import parts
from tests.congruence.twins import compared, twins
from tests.part_fixtures import skip_without
from tests.teacher import register_teacher

CASES = 200


@pytest.mark.timeout(300)
def test_both_answer_alike(tmp_path: Path, teacher_model: Path, photographs: Path) -> None:
    register_teacher(teacher_model, tmp_path / "models")
    every = sorted((photographs / "caltech-101").glob("*/*.jpg"))
    pictures = [path.read_bytes() for path in every[:: len(every) // 60][:60]]
    try:
        with twins(tmp_path, tmp_path / "models", "mobilenet-edgetpu", pictures, seed=5, shards=2, replicas=2) as sides:
            outcome = compared(sides, CASES)
    except parts.PartMissing as missing:
        skip_without(missing)
    assert outcome.differing == []
    assert outcome.recall_apart() <= 0.01
    for what in ("refusals", "duplicates", "bbox"):
        assert outcome.seen[what] > 5, outcome.seen
    assert outcome.seen["hits"] > 5 * CASES

"""An index that went through a rollout answers as one that never did: in the cluster, and in one process."""

from pathlib import Path

import pytest

from deploy import parts
from tests.congruence.twins import compared, twins
from tests.e2e.two_models import A, register_two
from tests.part_fixtures import skip_without
from tests.pictures import encoded, scene
from tests.rolled_out import rolled_out

CASES = 60


@pytest.mark.timeout(600)
def test_what_was_rolled_out_answers_as_what_was_not(tmp_path: Path) -> None:
    register_two(tmp_path / "models")
    pictures = [encoded(scene(64, 48, seed)) for seed in range(40)]
    try:
        with twins(tmp_path, tmp_path / "models", A, pictures, seed=7, shards=2, replicas=1) as sides:
            alone, together = sides.clients.values()
            sides.cluster.add_index("again", model=A, shards=3)
            rolled_out(together, index="again", shards=3)
            outcomes = [compared(sides, CASES)]
            rolled_out(alone, index="again", shards=2)
            outcomes.append(compared(sides, CASES))
    except parts.PartMissing as missing:
        skip_without(missing)
    for outcome in outcomes:
        assert outcome.differing == []
        assert outcome.recall_apart() <= 0.01
        assert outcome.seen["hits"] > 2 * CASES
        assert outcome.seen["refusals"] > 0

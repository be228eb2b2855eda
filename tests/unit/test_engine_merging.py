"""Which segments a merge takes."""

from pathlib import Path

from services.nn_shard.engine import Work
from services.nn_shard.engine.segment_tasks import MOST_MERGED
from tests.unit.engine_lives import clustered, maintain, opened, record


def test_a_merge_takes_the_smallest_and_one_that_waits_takes_no_fewer(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    for number in range(MOST_MERGED + 4):
        if number == MOST_MERGED - 1:
            assert engine.plan({Work.MERGE}, patient=True) is None
        rows = clustered(2 + number, seed=number)
        engine.apply([record(100 * number + at + 1, row) for at, row in enumerate(rows)])
        engine.checkpoint(engine.freeze(), {})
    for patient in (False, True):
        merge = engine.plan({Work.MERGE}, patient=patient)
        assert merge is not None
        assert sorted(part.rows for part in merge.inputs) == list(range(2, 2 + MOST_MERGED))
    maintain(engine)
    assert engine.counts().segments == 1
    assert engine.counts().live == sum(range(2, 6 + MOST_MERGED))

"""What one index answered, as two of them are compared."""

from collections.abc import Mapping
from typing import Final

from omma.judging.tally import Answer
from services.gateway.search.finding import Side, degraded

ANSWERING: Final = "answering"
"""The stage from a place to an answer: without the wait for a turn, which says nothing of an index."""
_COMPARED: Final = ("resolve", "shards", "rerank")


def judged(side: Side) -> Answer:
    """side: with ANSWERING among its stages."""
    found = side.found
    ids, scores = found.candidates.ids, found.candidates.scores
    at = [] if side.resolved.nothing_understood else [one.position for one in found.ranked]
    return Answer(
        ids=[int(ids[position]) for position in at],
        scores=[float(scores[position]) for position in at],
        milliseconds=side.stage_us[ANSWERING] / 1000,
        whole=found.coverage.shards_answered == found.coverage.shards_total,
        left_out=bool(degraded(found, behind=False)),
        stages=_stages_ms(side.stage_us),
    )


def _stages_ms(stage_us: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    """Milliseconds of the stages that indexes are compared by."""
    return tuple((stage, stage_us[stage] / 1000) for stage in _COMPARED if stage in stage_us)

"""An answer, as two of them are compared."""

from collections.abc import Mapping
from typing import Final

from omma.judging.tally import Answer
from services.gateway.search.answer import SearchAnswer

ANSWERING: Final = "answering"
"""The stage from a place to an answer: without the wait for a turn, which says nothing of an index."""
_COMPARED: Final = ("resolve", "shards", "rerank")


def judged(answer: SearchAnswer, stage_us: Mapping[str, int]) -> Answer:
    """stage_us: microseconds by stage, ANSWERING among them."""
    return Answer(
        ids=[hit.id for hit in answer.hits],
        scores=[hit.score for hit in answer.hits],
        milliseconds=stage_us[ANSWERING] / 1000,
        whole=answer.coverage.shards_answered == answer.coverage.shards_total,
        left_out=bool(answer.degraded),
        stages=stages_ms(stage_us),
    )


def stages_ms(stage_us: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    """Milliseconds of the stages that indexes are compared by."""
    return tuple((stage, stage_us[stage] / 1000) for stage in _COMPARED if stage in stage_us)

"""The answer of a search, before a face gives it a shape."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omma.hits import Degraded, Hits, Payload
from omma.identity import ImageId
from omma.judging.draft import Brought
from omma.rollouts.arms import Variant
from omma.vectors import Float32
from services.gateway.search.fanout import Coverage, ShardOutcome
from services.rerank.client import RankedHit, Reranked


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A near-duplicate that a hit stands for. score: its own, cosine."""

    id: int
    score: float
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Of an interleaved hit. arm: that brought it, BOTH for a picture of both. credited: whose a click on it is. index,
    space: whose hit and score.
    """

    arm: Brought
    credited: Brought
    index: str
    space: str


@dataclass(slots=True)
class SearchHit:
    """score: cosine. box: left, top, right, bottom in pixels, of the region that matched; None unless regions count.

    Not frozen for the reason that a Payload has.

    duplicates: the others of its group, best first. origin: of an interleaved answer; scores order within an arm only.
    """

    id: int
    score: float
    payload: Payload
    box: tuple[int, int, int, int] | None
    phash_distance: int | None
    duplicates: tuple[Duplicate, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """hits: best first. space, index: the stamps. policy: that re-ranked; "" when re-ranking was skipped.

    degraded: what was left out. explain: None unless asked for. understood: 0 … 1, how far the model understood the
    words, the least of them; None without words. 0 where nothing else was sought: there are no hits. variant: on which
    side of a rollout it is; None outside of one. Of an interleaved one, space and index are the control's.
    no_good_match: nothing of it is likely what was sought. sought: float32[dim], what it was looked for with.
    """

    hits: tuple[SearchHit, ...]
    query_id: str
    space: str
    index: str
    policy: str
    coverage: Coverage
    degraded: tuple[Degraded, ...]
    latency_ms: float
    next_cursor: str | None = None
    explain: Mapping[str, Any] | None = None
    understood: float | None = None
    variant: Variant | None = None
    no_good_match: bool = False
    sought: Float32 | None = field(default=None, compare=False, repr=False)


def hits_of(candidates: Hits, ranked: Sequence[RankedHit], *, with_boxes: bool) -> tuple[SearchHit, ...]:
    """The ranked candidates as rows. candidates: with payloads."""
    return tuple(_rows(candidates, ranked, with_boxes))


def _rows(candidates: Hits, ranked: Sequence[RankedHit], with_boxes: bool) -> Iterator[SearchHit]:
    ids, scores = candidates.ids.tolist(), candidates.scores.tolist()
    boxes = candidates.boxes.tolist() if with_boxes else ()
    payloads = candidates.payloads or ()
    position = {id: at for at, id in enumerate(ids)} if any(one.duplicates for one in ranked) else {}
    for one in ranked:
        at = one.position
        yield SearchHit(
            id=ids[at],
            score=round(scores[at], 6),
            payload=payloads[at],
            box=tuple(boxes[at]) if boxes else None,
            phash_distance=one.phash_distance,
            duplicates=tuple(
                Duplicate(ids[other], round(scores[other], 6), payloads[other].uri, payloads[other].sha256)
                for other in (position[id] for id in one.duplicates)
            )
            if one.duplicates
            else (),
        )


def explanation(
    stage_us: Mapping[str, int],
    outcomes: Sequence[ShardOutcome],
    reranked: Reranked | None,
    candidates: int,
    undecided: Sequence[ImageId],
) -> dict[str, Any]:
    """What `explain` shows; JSON values only. Times in milliseconds; `shard` sums what ran side by side."""
    return {
        "stages_ms": {name: round(us / 1000, 3) for name, us in stage_us.items()},
        "candidates": candidates,
        "policy": None if reranked is None else reranked.policy,
        "dropped": [] if reranked is None else [{"id": id, "reason": reason.value} for id, reason in reranked.dropped],
        "folded": []
        if reranked is None
        else [{"id": one.id, "into": one.into, "rule": one.rule, "distance": one.distance} for one in reranked.folded],
        "undecided": list(undecided),
        "shards": [_explained(outcome) for outcome in outcomes],
    }


def _explained(outcome: ShardOutcome) -> dict[str, Any]:
    told: dict[str, Any] = {
        "shard": outcome.shard,
        "replica": outcome.replica,
        "took_ms": round(outcome.took_ms, 3),
    }
    if outcome.answer is None:
        return {**told, "missing": str(getattr(getattr(outcome.error, "kind", None), "value", "bug"))}
    answer = outcome.answer
    return {
        **told,
        "lists_probed": answer.lists_probed,
        "candidates": answer.candidates,
        "stages_ms": {name: round(us / 1000, 3) for name, us in answer.stage_us.items()},
    }

"""What gateways count of each arm, minute by minute: names to numbers, so that minutes and gateways add up."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from omma.judging import latencies
from omma.judging.rankings import overlap, rank_biased_overlap, score_shift

Tally: TypeAlias = Counter[str]
"""Names as `of_search` and `of_shadowed` give them; the numbers are int or float."""

SHADOW: Final = "shadow"
"""Beside the arms of omma.rollouts: what the candidate was asked after the answer had gone out."""
TRIPPED: Final = "tripped"
"""Counted once by a gateway that stopped asking the candidate."""


@dataclass(frozen=True, slots=True)
class ArmMinute:
    """minute: since 1970, by its gateway's clock: a name of the counts, which may be off, and nothing else.

    arm: one of omma.rollouts.arms.Arm, or SHADOW. stage: the rollout's changed_at_ms, as the gateway followed it while
    it counted.
    """

    minute: int
    arm: str
    counts: Tally
    stage: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a comparison needs of an answer. ids, scores: best first. milliseconds: without waiting for a turn.

    whole: every shard answered. left_out: anything is missing from it. stages: milliseconds by stage.
    """

    ids: Sequence[int]
    scores: Sequence[float]
    milliseconds: float
    whole: bool = True
    left_out: bool = False
    stages: tuple[tuple[str, float], ...] = ()


def of_search(answer: Answer | None) -> Tally:
    """One search of an arm; None: it failed, and not by the caller's fault."""
    if answer is None:
        return Counter(searches=1, errors=1)
    return _kept(
        {
            "searches": 1,
            "coverage": not answer.whole,
            "degraded": answer.left_out,
            "zero_hits": not answer.ids,
            _latency("ms", answer.milliseconds): 1,
        }
    )


def of_shadowed(live: Answer, candidate: Answer | None) -> Tally:
    """One search that both were asked; sums of what has a mean."""
    counts = of_search(candidate)
    if candidate is None:
        return counts
    counts.update(
        _kept(
            {
                "overlap": overlap(live.ids, candidate.ids),
                "rank_biased_overlap": rank_biased_overlap(live.ids, candidate.ids),
                "score_shift": score_shift(live.scores, candidate.scores),
                _latency("live_ms", live.milliseconds): 1,
                **{f"stage.{stage}": taken for stage, taken in candidate.stages},
                **{f"live_stage.{stage}": taken for stage, taken in live.stages},
            }
        )
    )
    return counts


def shadow_figures(counts: Tally) -> dict[str, Any]:
    """What the gate and people look at, JSON values only; means and ratios are None while nothing was asked."""
    asked = counts["searches"]
    answered = asked - counts["errors"]
    p95 = [latencies.quantile_ms(latencies_of(counts, name), 0.95) for name in ("ms", "live_ms")]
    return {
        "searches": asked,
        "error_share": _share(counts["errors"], asked),
        "p95_ms": {"candidate": _rounded(p95[0]), "live": _rounded(p95[1])},
        "p95_ratio": None if p95[0] is None or p95[1] is None else round(p95[0] / p95[1], 3),
        "overlap_at_10": _share(counts["overlap"], answered),
        "rank_biased_overlap": _share(counts["rank_biased_overlap"], answered),
        "score_shift": _share(counts["score_shift"], answered),
        "whole": _share(answered - counts["coverage"], answered),
        "zero_hits": _share(counts["zero_hits"], answered),
        "stage_ratio": {
            stage: round(taken / counts[f"live_stage.{stage}"], 3)
            for name, taken in sorted(counts.items())
            if (stage := name.removeprefix("stage.")) != name and counts[f"live_stage.{stage}"] > 0
        },
    }


def latencies_of(counts: Tally, name: str = "ms") -> dict[int, int]:
    """Counts by bucket of omma.judging.latencies."""
    return {int(key.removeprefix(f"{name}.")): int(n) for key, n in counts.items() if key.startswith(f"{name}.")}


def total(tallies: Iterable[Tally]) -> Tally:
    summed: Tally = Counter()
    for one in tallies:
        summed.update(one)
    return summed


def _latency(name: str, milliseconds: float) -> str:
    return f"{name}.{latencies.bucket_of(milliseconds)}"


def _kept(counts: dict[str, Any]) -> Tally:
    return Counter({name: count if isinstance(count, float) else int(count) for name, count in counts.items() if count})


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

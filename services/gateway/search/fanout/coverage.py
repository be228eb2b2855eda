"""What the shards said, and how much of the index it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from omma.errors import OutOfTime, Overloaded, ReplicaDown
from omma.hits import ShardHits


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What one shard said: an answer, or why there is none. replica: whose answer it is, or who was asked last."""

    shard: int
    replica: int
    took_ms: float
    answer: ShardHits | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """fraction: of live vectors; a missing shard counts with what it last said, else with the mean of the others."""

    fraction: float
    shards_answered: int
    shards_total: int


def coverage_of(outcomes: Sequence[ShardOutcome], last_live: Mapping[int, int]) -> Coverage:
    """last_live: live vectors that shards last told of, by shard. Pure."""
    answered = [outcome.answer.live for outcome in outcomes if outcome.answer is not None]
    mean = sum(answered) / len(answered) if answered else 0.0
    missing = [last_live.get(one.shard, mean) for one in outcomes if one.answer is None]
    total = sum(answered) + sum(missing)
    share_of_shards = len(answered) / len(outcomes)
    fraction = sum(answered) / total if total else share_of_shards
    return Coverage(fraction, len(answered), len(outcomes))


def require_an_answer(outcomes: Sequence[ShardOutcome]) -> None:
    """Raises ReplicaDown when no shard answered, from what the first one raised; Overloaded when that is why."""
    if any(outcome.answer is not None for outcome in outcomes):
        return
    errors = [outcome.error for outcome in outcomes]
    if all(isinstance(error, Overloaded) for error in errors):
        raise Overloaded("Every shard is busy.", retry_after_seconds=1.0)
    late = sum(isinstance(error, OutOfTime) for error in errors)
    told = f"None of the {len(errors)} shards answered; {late} of them ran out of time."
    raise ReplicaDown(told) from errors[0]

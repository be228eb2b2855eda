"""What the judge has seen of a rollout so far, and what another minute adds: kept with the rollout, as JSON has it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from omma.judging import latencies
from omma.judging.guardrails import SLOWER, WINDOW_SEARCHES, Count, Watch, Window, watched
from omma.judging.tally import TRIPPED, ArmMinute, Tally, latencies_of, total

CONTROL: Final = "control"
CANDIDATE: Final = "candidate"
WATCH: Final = "watched"
"""The part of a rollout's figures that the judge keeps for itself."""
OF_JUDGES: Final = frozenset({WATCH, "watch"})
"""Parts that nobody else is shown. "watch" is the version before's, which says it in another way."""
_OF_ANSWERED: Final = ("coverage", "degraded", "zero_hits")


@dataclass(frozen=True, slots=True)
class Watched:
    """since_ms: the step of the rollout that began what is watched.

    totals: by arm, since then. window: by arm, not yet enough for a look. slow_ms: beyond it a search is slow.
    """

    since_ms: int
    totals: Mapping[str, Tally] = field(default_factory=dict)
    window: Mapping[str, Tally] = field(default_factory=dict)
    slow_ms: float | None = None
    watch: Watch = field(default_factory=Watch)

    def document(self) -> dict[str, Any]:
        """JSON values only."""
        return {
            "since_ms": self.since_ms,
            "totals": {arm: dict(counts) for arm, counts in self.totals.items()},
            "window": {arm: dict(counts) for arm, counts in self.window.items()},
            "slow_ms": self.slow_ms,
            "looks": self.watch.looks,
            "running": dict(self.watch.running),
        }

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> "Watched":
        """Of a document."""
        return cls(
            since_ms=known["since_ms"],
            totals={arm: Counter(counts) for arm, counts in known["totals"].items()},
            window={arm: Counter(counts) for arm, counts in known["window"].items()},
            slow_ms=known["slow_ms"],
            watch=Watch(known["looks"], known["running"]),
        )


def after_minutes(known: Watched, minutes: Sequence[ArmMinute]) -> tuple[Watched, tuple[str, ...]]:
    """What is known with these as well, and the harm that was found, in words. Pure.

    minutes: what no earlier call was given, of every gateway, in any order; the rest of a minute may come later.
    """
    harm: list[str] = []
    for minute in sorted({one.minute for one in minutes}):
        counted = [one for one in minutes if one.minute == minute]
        by_arm = {arm: total(one.counts for one in counted if one.arm == arm) for arm in {one.arm for one in counted}}
        if tripped := sum(counts[TRIPPED] for counts in by_arm.values()):
            harm.append(f"{int(tripped)} of the gateways stopped asking the candidate: too many of its searches failed")
        known = replace(known, totals=_added(known.totals, by_arm), window=_added(known.window, by_arm))
        if known.window.get(CANDIDATE, Counter())["searches"] >= WINDOW_SEARCHES:
            known, found = _looked(known)
            harm += found
    return known, tuple(harm)


def _looked(known: Watched) -> tuple[Watched, tuple[str, ...]]:
    control, candidate = (known.window.get(arm, Counter()) for arm in (CONTROL, CANDIDATE))
    window = Window(
        searches=int(candidate["searches"]),
        control=_counts(control, known.slow_ms),
        candidate=_counts(candidate, known.slow_ms),
    )
    watch, harm = watched(known.watch, window)
    p95 = latencies.quantile_ms(latencies_of(control), 0.95)
    return replace(known, watch=watch, window={}, slow_ms=known.slow_ms if p95 is None else SLOWER * p95), harm


def _counts(tally: Tally, slow_ms: float | None) -> dict[str, Count]:
    """By guardrail's name."""
    searches, answered = tally["searches"], tally["searches"] - tally["errors"]
    counts = {"errors": Count(tally["errors"], searches)}
    counts |= {name: Count(tally[name], answered) for name in _OF_ANSWERED}
    counts["recall"] = Count(tally["recall"], tally["recall_of"])
    if slow_ms is not None:
        counts["slow"] = Count(latencies.slower_than(latencies_of(tally), slow_ms), answered)
    return counts


def _added(known: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    return {arm: total((known.get(arm, Counter()), more.get(arm, Counter()))) for arm in {*known, *more}}

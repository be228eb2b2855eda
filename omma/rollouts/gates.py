"""What has to be true before a rollout goes a step on, and whether it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omma.errors import WrongState
from omma.judging.verdict import Decision

MIN_SHADOWED: Final = 500
MAX_SHADOW_ERRORS: Final = 0.01
MAX_P95_RATIO: Final = 1.5
MAX_NDCG_LOSS: Final = 0.02
TARGET_RECALL: Final = 0.95
JUDGED: Final = "judged"
"""The part of a rollout's figures that tells of judged queries, as judging.relevance has it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """value: what was measured, None for not yet. needed: in words. met: nothing else stands in its way."""

    name: str
    value: float | None
    needed: str
    met: bool

    def document(self) -> dict[str, Any]:
        """JSON values only."""
        return {"name": self.name, "value": self.value, "needed": self.needed, "met": self.met}


def build_gates(figures: Mapping[str, Any]) -> tuple[Gate, ...]:
    """building → shadow. figures: `live`, `missing` (live pictures without a vector or a dead letter), `recall_at_10`,
    `codebook_wanted` (the control has one: recall before the candidate has its own says nothing) and `codebook`.

    An index without pictures misses none, and has no recall to measure.
    """
    missing, recall = figures.get("missing"), figures.get("recall_at_10")
    trained = bool(figures.get("codebook")) or not figures.get("codebook_wanted")
    return (
        Gate("codebook", float(trained), "a codebook where the live index has one", trained),
        Gate("missing", missing, "0 live pictures without a vector or a dead letter", missing == 0),
        Gate(
            "recall_at_10",
            recall,
            f"at least {TARGET_RECALL} against exact search",
            recall is not None and recall >= TARGET_RECALL,
        ),
    )


def shadow_gates(figures: Mapping[str, Any]) -> tuple[Gate, ...]:
    """shadow → canary. figures: `searches`, `error_share`, `p95_ratio`, and with judgments `ndcg_loss_upper`."""
    searches, errors, ratio = figures.get("searches", 0), figures.get("error_share"), figures.get("p95_ratio")
    gates = [
        Gate("shadowed_searches", searches, f"at least {MIN_SHADOWED}", searches >= MIN_SHADOWED),
        Gate("error_share", errors, f"at most {MAX_SHADOW_ERRORS}", errors is not None and errors <= MAX_SHADOW_ERRORS),
        Gate("p95_ratio", ratio, f"at most {MAX_P95_RATIO}", ratio is not None and ratio <= MAX_P95_RATIO),
    ]
    if (loss := figures.get("ndcg_loss_upper")) is not None:
        gates.append(Gate("ndcg_loss_upper", loss, f"below {MAX_NDCG_LOSS}", loss < MAX_NDCG_LOSS))
    return tuple(gates)


def share_gates(figures: Mapping[str, Any]) -> tuple[Gate, ...]:
    """shadow_gates of a rollout's figures: of shadowed searches, and of judged queries. Of one that was in canary also
    the judge's last verdict: nothing is shadowed any more, and what the shadow told had let it in.
    """
    gates = shadow_gates({**figures.get("shadow", {}), **figures.get(JUDGED, {})})
    if (verdict := figures.get("verdict")) is None:
        return gates
    against = len(verdict["reasons"]) if verdict["verdict"] == Decision.ROLL_BACK else 0
    return (*gates, Gate("harm", against, "no reason of the judge's to take it back", not against))


def require_met(gates: Sequence[Gate]) -> None:
    """Raises WrongState, field `gates`, with those that are not met."""
    missed = [
        f"{one.name} is {'not measured yet' if one.value is None else one.value}, needed: {one.needed}"
        for one in gates
        if not one.met
    ]
    if missed:
        raise WrongState(f"Its gate is not met: {'; '.join(missed)}. Say force to go on all the same.", field="gates")

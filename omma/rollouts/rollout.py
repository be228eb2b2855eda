"""A rollout: one candidate index beside the one that was live when it began, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NewType

from omma.index import Index, IndexId
from omma.rollouts.settings import SearchSettings

RolloutId = NewType("RolloutId", str)


class RolloutState(StrEnum):
    """building, shadow, canary: as its candidate. paused: built no further for now. promoted: the candidate is live.

    rolled_back: the control answers again. aborted: the candidate was given up before it answered anybody. retired: the
    loser's data are gone, and nothing can be gone back to.
    """

    BUILDING = "building"
    PAUSED = "paused"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    RETIRED = "retired"


RUNNING: Final = frozenset({RolloutState.BUILDING, RolloutState.PAUSED, RolloutState.SHADOW, RolloutState.CANARY})
"""One rollout at a time is in one of these."""
INDEXER: Final = "indexer"
"""The part of a rollout's figures in which an indexer says `fault`, why it cannot embed for the candidate."""


class Mode(StrEnum):
    """split: a share of callers is answered from the candidate. interleave: those are answered from both."""

    SPLIT = "split"
    INTERLEAVE = "interleave"


@dataclass(frozen=True, slots=True)
class Rollout:
    """model: `name@version` of the candidate. share: percent of callers in canary. changed_at_ms: of its last step.

    figures: what was measured so far, by what measured it: `build`, `indexer`, `shadow`, `canary`, `verdict`; JSON
    values only.
    settings: of an experiment, whose candidate is the live index searched with these. name: of an experiment.
    """

    id: RolloutId
    state: RolloutState
    candidate: IndexId
    control: IndexId
    model: str
    mode: Mode = Mode.SPLIT
    share: float = 0.0
    auto_promote: bool = False
    created_at_ms: int = 0
    changed_at_ms: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    settings: SearchSettings | None = None


def fault_of(figures: Mapping[str, Any]) -> str:
    """Why the candidate cannot be embedded for, in words; "" when nothing stands in the way. Pure."""
    return str(figures.get(INDEXER, {}).get("fault", ""))


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One step: who took it, when and why, with the figures of that moment. share: after it."""

    at_ms: int
    step: str
    state: RolloutState
    by: str
    reason: str
    share: float
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Routing:
    """Which index is in which state, and who is answered from which. epoch: raised by each change of it.

    running: the rollout that is not over, if there is one. defaults: of every search.
    """

    epoch: int
    indexes: tuple[Index, ...]
    running: Rollout | None = None
    defaults: SearchSettings = field(default_factory=SearchSettings)

    def paused(self, index: IndexId) -> bool:
        """Whether this is a candidate that is built no further for now."""
        one = self.running
        return one is not None and one.state is RolloutState.PAUSED and one.candidate == index

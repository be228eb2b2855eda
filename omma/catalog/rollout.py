"""Rollouts and the routing that follows from them, as the catalog keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from omma.index import Index
from omma.rollouts.event import StepEvent
from omma.rollouts.rollout import AuditEntry, Rollout, Routing
from omma.rollouts.walk import Step
from omma.space import Space


@dataclass(frozen=True, slots=True)
class Told:
    """Why a step is taken, for the audit. by: who. figures: of that moment; JSON values only."""

    by: str
    reason: str = ""
    figures: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a follower of the routing has seen last. epoch: as it routes by since then."""

    epoch: int
    at_ms: int


class RolloutBook(Protocol):
    """The catalog's calls about rollouts; each is one transaction and raises as the catalog's others do."""

    async def start_rollout(self, rollout: Rollout, space: Space, index: Index, told: Told) -> Rollout:
        """Register the candidate's space and the candidate, building, beside the control, and begin.

        Raises WrongState, field `rollout` when another one runs, `control` when it is not the live index (any more),
        `index` when there is one of this id, `model` when the space already has an index that is not retired and was
        not there to be rolled out within its space; WrongSpace as register_space.
        """

    async def start_experiment(self, rollout: Rollout, told: Told) -> Rollout:
        """Let the share of callers be answered from the live index with the rollout's settings.

        Raises WrongState, field `rollout` when another one runs, `control` when its index is not the live one (any
        more), `name` when there is an experiment of this name.
        """

    async def move_rollout(
        self, rollout_id: str, step: Step, told: Told, share: float | None = None, stage: int | None = None
    ) -> Rollout:
        """Take a step: rollout, candidate and control change together, or an experiment and every search's defaults;
        the routing's epoch rises.

        share: percent of callers, of a canary step. stage: the rollout's changed_at_ms as it was looked at; None:
        whatever was done since. Raises Absent; WrongState when the step is not allowed as things are now, or another
        rollout runs, or, field `stage`, it was moved on.
        """

    async def note_rollout(self, rollout_id: str, part: str, figures: Mapping[str, Any]) -> None:
        """Keep what was measured, in place of what was known by this name. Raises Absent."""

    async def rollout(self, rollout_id: str) -> Rollout:
        """Raises Absent."""

    async def rollouts(self) -> list[Rollout]:
        """Newest first; at most 1,000."""

    async def rollout_audit(self, rollout_id: str) -> list[AuditEntry]:
        """Oldest first."""

    async def unsent_steps(self, count: int) -> list[StepEvent]:
        """Of any rollout or experiment, oldest first, at most so many: those that mark_steps_sent was not told of."""

    async def mark_steps_sent(self, until: int) -> None:
        """Every step up to this id is in the log."""

    async def routing(self) -> Routing:
        """As it is now, in one snapshot."""

    async def routing_epoch(self) -> int:
        """Of the routing as it is now: another one after each change of states, shares and defaults."""

    async def acknowledge_routing(self, follower: str, epoch: int) -> None:
        """This follower routes by this epoch."""

    async def acknowledged_routing(self, within_seconds: float) -> dict[str, Acknowledged]:
        """By follower: those that were heard of since then."""

    async def forget_followers(self, silent_seconds: float) -> int:
        """Those that were not heard of for longer: a process that starts again has another name. Returns how many."""

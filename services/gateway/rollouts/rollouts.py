"""Rollouts as administrators ask for them; each step is the catalog's, which decides whether it is allowed."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureState
from omma.catalog.rollout import Told
from omma.errors import InvalidQuery, WrongState
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.rollouts.arms import checked_share
from omma.rollouts.asked import MAX_REASON_CHARACTERS, RolloutRequest
from omma.rollouts.clearing import LEASE_SECONDS, lease_of
from omma.rollouts.gates import require_met, share_gates
from omma.rollouts.preflight import Room, preflight
from omma.rollouts.rollout import AuditEntry, Rollout, RolloutId, RolloutState
from omma.rollouts.walk import Step, another_runs, earns_its_share, standing_of
from omma.space import Space
from services.gateway.callers.changes import concerns
from services.gateway.rollouts.fitness import Fitness

OWNER: Final = "owner"
"""Who acts where no key is needed: whoever has the folder."""
_FOLLOWERS_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class CandidateModel:
    """A model that is there, verified. reference: `name@version`."""

    reference: str
    space: Space
    has_text_tower: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a candidate will run: the index's name, number of shards, and factory; "" for none told."""

    index: str
    shards: int
    factory: str = ""


class Candidates(Protocol):
    """Where models come from, and what place and room there is for another index."""

    async def model(self, reference: str) -> CandidateModel:
        """Raises Absent, field `model`; WrongState, field `model`, when a checksum fails."""

    async def room(self) -> Room: ...

    async def place(self, request: RolloutRequest, space: Space, control: Index, known: Sequence[Index]) -> Place:
        """Of the candidate that is asked for. known: every index, retired ones too. Raises Absent, WrongState."""

    async def place_space(self, space: Space) -> Place:
        """Of the one index of a space without a model. Raises Absent, WrongState."""


class Rollouts:
    """One runs at a time."""

    def __init__(
        self,
        catalog: Catalog,
        candidates: Candidates,
        fitness: Fitness,
        *,
        keep_for_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """keep_for_seconds: that what was live is kept, unless somebody says that it need not be."""
        self.candidates = candidates
        self.fitness = fitness
        self._catalog = catalog
        self._keep_for_seconds = keep_for_seconds
        self._now = now

    async def start(self, request: RolloutRequest, by: str) -> Rollout:
        """Begin to build. Raises InvalidQuery, Absent, WrongState, WrongSpace; nothing is done then."""
        request.checked()
        routing = await self._catalog.routing()
        if routing.running is not None:
            raise another_runs(routing.running)
        control = next((one for one in routing.indexes if one.state is IndexState.LIVE), None)
        if control is None:
            raise WrongState("No index is live yet: there is nothing to roll out beside.", field="control")
        spaces = {one.id: one for one in await self._catalog.spaces()}
        told: dict[str, Any] = {}
        if request.of_the_space(control):
            space, model = spaces[control.space], spaces[control.space].model
        else:
            found = await self.candidates.model(request.model)
            space, model = found.space, found.reference
            told["words"] = found.has_text_tower
            if space.id == control.space:
                raise WrongState(f"{model} is live already, as index {control.id}.", field="model")
        place = await self.candidates.place(request, space, control, routing.indexes)
        counts = await self._catalog.counts(space.id)
        live = sum(counts[state] for state in PictureState if state is not PictureState.DELETED)
        takes = preflight(live, space.dim, new_space=bool(request.model))
        takes.require(await self.candidates.room())
        index = Index(
            IndexId(place.index),
            space.id,
            request.factory or place.factory or (DEFAULT_FACTORY if request.model else control.factory),
            place.shards,
            IndexState.BUILDING,
        )
        rollout = Rollout(
            RolloutId(f"r{secrets.token_hex(4)}"),
            RolloutState.BUILDING,
            index.id,
            control.id,
            model,
            mode=request.mode,
            auto_promote=request.auto_promote,
            figures={"preflight": {**takes.document(), "dim": space.dim, **told}},
        )
        lease = lease_of(space.id)
        if not await self._catalog.acquire_lease(lease, rollout.id, LEASE_SECONDS):
            raise WrongState(
                f"What an earlier index of {model} left is being cleared: try again in a minute.", field="model"
            )
        try:
            concerns("rollout", rollout.id)
            return await self._catalog.start_rollout(rollout, space, index, Told(by, request.reason))
        finally:
            await self._catalog.release_lease(lease, rollout.id)

    async def every(self) -> list[Rollout]:
        """Newest first; those of an index."""
        return [one for one in await self._catalog.rollouts() if one.settings is None]

    async def get(self, rollout_id: str) -> Rollout:
        """Raises Absent."""
        return await self._catalog.rollout(rollout_id)

    async def audit(self, rollout_id: str) -> list[AuditEntry]:
        """Oldest first."""
        return await self._catalog.rollout_audit(rollout_id)

    async def step(self, rollout_id: str, step: Step, by: str, reason: str = "") -> Rollout:
        """pause, resume, promote, rollback or abort. Raises Absent, WrongState, InvalidQuery (reason)."""
        return await self._catalog.move_rollout(rollout_id, step, told_by(by, reason))

    async def canary(self, rollout_id: str, share: float, by: str, reason: str = "", *, force: bool = False) -> Rollout:
        """Answer so many percent of callers from the candidate. force: whatever its gate says, which the audit tells.

        Raises InvalidQuery, field `share`; WrongState, field `gates` or `state`; Absent.
        """
        asked = checked_share(share)
        rollout = await self._catalog.rollout(rollout_id)
        states = {one.id: one.state for one in await self.indexes()}
        gates = share_gates(rollout.figures)
        if earns_its_share(standing_of(rollout, states)) and not force:
            require_met(gates)
        figures = {**rollout.figures, "gates": [gate.document() for gate in gates], "forced": force}
        told = told_by(by, reason, figures)
        return await self._catalog.move_rollout(rollout_id, Step.CANARY, told, asked, rollout.changed_at_ms)

    async def retire(self, rollout_id: str, by: str, reason: str = "", *, yes: bool = False) -> Rollout:
        """Clear the loser's data. yes: also what was live until lately. Raises WrongState, field `yes` or `state`."""
        rollout = await self._catalog.rollout(rollout_id)
        kept_ms = self._now() * 1000 - rollout.changed_at_ms
        if rollout.state is RolloutState.PROMOTED and not yes and kept_ms < self._keep_for_seconds * 1000:
            raise WrongState(
                f"{rollout.control} was live until {kept_ms / 3.6e6:.1f} hours ago and is kept for "
                f"{self._keep_for_seconds / 3600:g}; after that nothing can be gone back to. Say yes to retire it now.",
                field="yes",
            )
        told = told_by(by, reason)
        return await self._catalog.move_rollout(rollout_id, Step.RETIRE, told, stage=rollout.changed_at_ms)

    async def indexes(self) -> Sequence[Index]:
        """Retired ones too."""
        return (await self._catalog.routing()).indexes

    async def spaces(self) -> Sequence[Space]:
        return await self._catalog.spaces()

    async def followers(self) -> dict[str, Any]:
        """The routing's epoch, and which epoch each gateway of the last minute follows."""
        seen = await self._catalog.acknowledged_routing(_FOLLOWERS_SECONDS)
        epoch = (await self._catalog.routing()).epoch
        return {"epoch": epoch, "followers": {name: one.epoch for name, one in sorted(seen.items())}}


def place_beside(request: RolloutRequest, space: Space, control: Index, known: Sequence[Index]) -> Place:
    """Where any index can run: by the name that is given or the space's next, with as many shards as the control."""
    return Place(request.index or _next_id(space, known), request.shards or control.shards)


def _next_id(space: Space, known: Sequence[Index]) -> str:
    numbers = [one.id.rpartition(".")[2] for one in known if one.space == space.id]
    return f"{space.id}.{max((int(one) for one in numbers if one.isdigit()), default=0) + 1}"


def told_by(by: str, reason: str, figures: dict[str, Any] | None = None) -> Told:
    """For the audit. Raises InvalidQuery, field `reason`, when it is too long."""
    if len(reason) > MAX_REASON_CHARACTERS:
        raise InvalidQuery(
            f"reason has at most {MAX_REASON_CHARACTERS} characters.", field="reason", limit=MAX_REASON_CHARACTERS
        )
    return Told(by, reason, figures)

"""Experiments as administrators ask for them: rollouts whose candidate is the live index, searched another way."""

import secrets
from typing import Final

from omma.catalog.interface import Catalog
from omma.errors import Absent, WrongState
from omma.hits import no_hits
from omma.index import IndexState
from omma.rollouts.arms import Arm, checked_share
from omma.rollouts.asked import ExperimentRequest
from omma.rollouts.rollout import AuditEntry, Rollout, RolloutId, RolloutState
from omma.rollouts.settings import SearchSettings
from omma.rollouts.walk import Step
from omma.rpc.deadline import Deadline
from services.gateway.callers.changes import concerns
from services.gateway.rollouts.rollouts import told_by
from services.rerank.client import Reranker, RerankQuery

CONTROL: Final = "control"
"""The part of an experiment's figures that tells what its control did when it began."""
_POLICY_SECONDS: Final = 2.0


class Experiments:
    """One experiment or rollout runs at a time; the catalog and the judge are those of rollouts."""

    def __init__(self, catalog: Catalog, reranker: Reranker) -> None:
        self._catalog = catalog
        self._reranker = reranker

    async def start(self, request: ExperimentRequest, by: str) -> Rollout:
        """Begin at once. Raises InvalidQuery, field `policy` for one that is none, `arm` or `share`; WrongState."""
        share = checked_share(request.share)
        routing = await self._catalog.routing()
        settings = request.settings(routing.defaults)
        live = next((one for one in routing.indexes if one.state is IndexState.LIVE), None)
        if live is None:
            raise WrongState("No index is live yet: there is nothing to compare.", field="control")
        query = RerankQuery(k=1, policy=settings.policy)
        nothing = no_hits(dim=1, with_payload=True, with_signatures=True)
        await self._reranker.rerank(query, nothing, Deadline.after(_POLICY_SECONDS))
        experiment = Rollout(
            RolloutId(f"e{secrets.token_hex(4)}"),
            RolloutState.CANARY,
            live.id,
            live.id,
            model="",
            mode=request.mode,
            share=share,
            auto_promote=request.auto_promote,
            figures={CONTROL: routing.defaults.document()},
            name=request.name,
            settings=settings,
        )
        concerns("experiment", request.name)
        return await self._catalog.start_experiment(experiment, told_by(by, request.reason))

    async def every(self) -> list[Rollout]:
        """Newest first."""
        return [one for one in await self._catalog.rollouts() if one.settings is not None]

    async def get(self, name: str) -> Rollout:
        """Raises Absent."""
        found = next((one for one in await self.every() if one.name == name), None)
        if found is None:
            raise Absent(f"There is no experiment {name[:80]!r}.", field="experiment")
        return found

    async def audit(self, experiment: Rollout) -> list[AuditEntry]:
        """Oldest first."""
        return await self._catalog.rollout_audit(experiment.id)

    async def defaults(self) -> SearchSettings:
        """Of every search that does not say itself."""
        return (await self._catalog.routing()).defaults

    async def promote(self, name: str, arm: Arm, by: str, reason: str = "") -> Rollout:
        """The arm's settings become every search's defaults; of the control, which has them, the experiment ends.

        Raises Absent, WrongState, InvalidQuery (reason).
        """
        step = Step.PROMOTE if arm is Arm.CANDIDATE else Step.ROLLBACK
        return await self._step(name, step, by, reason)

    async def stop(self, name: str, by: str, reason: str = "") -> Rollout:
        """Everybody is answered as before it, also after a promotion. Raises Absent, WrongState, InvalidQuery."""
        return await self._step(name, Step.ROLLBACK, by, reason)

    async def _step(self, name: str, step: Step, by: str, reason: str) -> Rollout:
        experiment = await self.get(name)
        return await self._catalog.move_rollout(experiment.id, step, told_by(by, reason))

"""/experiments: with the words of `omma experiment`."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path

from omma.judging.watching import OF_JUDGES
from omma.rollouts.arms import Arm
from omma.rollouts.asked import ExperimentRequest
from omma.rollouts.rollout import Rollout, RolloutState
from omma.rollouts.settings import SearchSettings
from omma.rollouts.walk import allowed_steps, standing_of
from services.gateway.callers.auth import Caller
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.rollouts import StepRequest, acting, audit_document
from services.gateway.rest.schemas import rollouts as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rollouts.experiments import CONTROL, Experiments

_STATES: Final = {
    RolloutState.CANARY: "running",
    RolloutState.PROMOTED: "promoted",
    RolloutState.ROLLED_BACK: "stopped",
}
_STEPS: Final = {"promote": "promote", "rollback": "stop"}
"""Words of an experiment for a rollout's; a share stays as it was begun."""

NamePath = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class PromoteRequest(StepRequest):
    """arm: whose settings every search has from then on."""

    arm: Literal["control", "candidate"] = "candidate"


def experiments_router(experiments: Experiments, admin: SignedIn) -> APIRouter:
    """Role admin: whoever experiments changes every tenant's answers."""
    router = APIRouter(route_class=CheckedRoute, tags=["experiments"])
    administrator = Annotated[Caller, Depends(admin)]

    async def told(experiment: Rollout) -> dict[str, Any]:
        document = experiment_document(experiment)
        document["audit"] = [audit_document(entry) for entry in await experiments.audit(experiment)]
        return document

    @router.post("/experiments", status_code=201, summary="Answer a share of callers another way", **shapes.BEGUN)
    async def start(request: ExperimentRequest, caller: administrator) -> dict[str, Any]:
        return await told(await experiments.start(request, acting(caller)))

    @router.get(
        "/experiments", summary="Every experiment, the newest first, and what every search does", **shapes.EXPERIMENTS
    )
    async def every(caller: administrator) -> dict[str, Any]:
        found = [experiment_document(one) for one in await experiments.every()]
        return {"experiments": found, "defaults": (await experiments.defaults()).document()}

    @router.get("/experiments/{name}", summary="One experiment: arms, figures, verdict, audit", **shapes.EXPERIMENT)
    async def show(name: NamePath, caller: administrator) -> dict[str, Any]:
        return await told(await experiments.get(name))

    @router.post("/experiments/{name}/promote", summary="Let every search do as an arm does", **shapes.EXPERIMENT)
    async def promote(name: NamePath, caller: administrator, request: PromoteRequest | None = None) -> dict[str, Any]:
        asked = request or PromoteRequest()
        return await told(await experiments.promote(name, Arm(asked.arm), acting(caller), asked.reason))

    @router.post("/experiments/{name}/stop", summary="Let every search do as before it", **shapes.EXPERIMENT)
    async def stop(name: NamePath, caller: administrator, request: StepRequest | None = None) -> dict[str, Any]:
        reason = "" if request is None else request.reason
        return await told(await experiments.stop(name, acting(caller), reason))

    return router


def experiment_document(experiment: Rollout) -> dict[str, Any]:
    """As GET /experiments tells it. id: what answers call their rollout."""
    figures = {part: told for part, told in experiment.figures.items() if part not in {*OF_JUDGES, CONTROL}}
    verdict = figures.get("verdict", {"verdict": "wait", "reasons": []})
    settings = experiment.settings or SearchSettings()
    steps = allowed_steps(standing_of(experiment, {}))
    return {
        "name": experiment.name,
        "id": experiment.id,
        "state": _STATES[experiment.state],
        "index": experiment.control,
        "arms": {"control": experiment.figures.get(CONTROL, {}), "candidate": settings.document()},
        "mode": experiment.mode.value,
        "share": experiment.share,
        "auto_promote": experiment.auto_promote,
        "created_at_ms": experiment.created_at_ms,
        "changed_at_ms": experiment.changed_at_ms,
        "figures": figures,
        "canary": figures.get("canary"),
        "verdict": verdict["verdict"],
        "reasons": verdict["reasons"],
        "allowed": [_STEPS[step] for step in steps if step in _STEPS],
    }

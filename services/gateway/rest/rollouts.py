"""/rollouts and /indexes: with the words of `omma rollout` and `omma index`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from omma.index import Index
from omma.judging.watching import OF_JUDGES
from omma.request_body import RequestBody
from omma.rollouts.asked import MAX_REASON_CHARACTERS, NO_NUL, JudgmentsRequest, RolloutRequest
from omma.rollouts.gates import JUDGED, Gate, build_gates, share_gates
from omma.rollouts.rollout import RUNNING, Rollout, RolloutState, fault_of
from omma.rollouts.walk import Standing, Step, allowed_steps, earns_its_share, standing_of
from omma.together import together
from services.gateway.callers.auth import Caller
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import rollouts as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rollouts.relevance import Relevance
from services.gateway.rollouts.rollouts import OWNER, Rollouts

RolloutPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class StepRequest(RequestBody):
    """reason: for the audit."""

    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS, pattern=NO_NUL)


class CanaryRequest(StepRequest):
    """share: percent of callers. force: whatever the gate says."""

    share: float
    force: bool = False


class RetireRequest(StepRequest):
    """yes: also what was live until lately."""

    yes: bool = False


def rollouts_router(rollouts: Rollouts, relevance: Relevance, admin: SignedIn) -> APIRouter:
    """Role admin: whoever rolls out changes every tenant's answers."""
    router = APIRouter(route_class=CheckedRoute, tags=["rollouts"])
    administrator = Annotated[Caller, Depends(admin)]

    async def told(rollout: Rollout) -> dict[str, Any]:
        indexes = {one.id: one for one in await rollouts.indexes()}
        document = rollout_document(rollout, indexes[rollout.candidate], indexes[rollout.control])
        document["routing"] = await rollouts.followers()
        document["audit"] = [audit_document(entry) for entry in await rollouts.audit(rollout.id)]
        return document

    @router.post("/rollouts", status_code=202, summary="Build another index beside the live one", **shapes.STARTED)
    async def start(request: RolloutRequest, caller: administrator) -> dict[str, Any]:
        return await told(await rollouts.start(request, acting(caller)))

    @router.get("/rollouts", summary="Every rollout, the newest first", **shapes.ROLLOUTS)
    async def every(caller: administrator) -> dict[str, Any]:
        indexes = {one.id: one for one in await rollouts.indexes()}
        found = await rollouts.every()
        return {"rollouts": [rollout_document(one, indexes[one.candidate], indexes[one.control]) for one in found]}

    @router.get("/rollouts/{id}", summary="One rollout: state, gates, figures, audit", **shapes.ROLLOUT)
    async def show(id: RolloutPath, caller: administrator) -> dict[str, Any]:
        return await told(await rollouts.get(id))

    def add_step(step: Step, summary: str) -> None:
        async def take(id: RolloutPath, caller: administrator, request: StepRequest | None = None) -> dict[str, Any]:
            reason = "" if request is None else request.reason
            return await told(await rollouts.step(id, step, acting(caller), reason))

        router.post(
            f"/rollouts/{{id}}/{step.value}", summary=summary, operation_id=f"rollout_{step.value}", **shapes.ROLLOUT
        )(take)

    add_step(Step.PAUSE, "Build no further for now")
    add_step(Step.RESUME, "Go on building")
    add_step(Step.PROMOTE, "Let the candidate answer everybody")
    add_step(Step.ROLLBACK, "Let the control answer everybody again")
    add_step(Step.ABORT, "Give the candidate up, and remove what was built")

    @router.post("/rollouts/{id}/canary", summary="Answer a share of callers from the candidate", **shapes.ROLLOUT)
    async def canary(id: RolloutPath, request: CanaryRequest, caller: administrator) -> dict[str, Any]:
        asked = rollouts.canary(id, request.share, acting(caller), request.reason, force=request.force)
        return await told(await asked)

    @router.post("/rollouts/{id}/retire", summary="Remove the data of the index that lost", **shapes.ROLLOUT)
    async def retire(id: RolloutPath, caller: administrator, request: RetireRequest | None = None) -> dict[str, Any]:
        asked = request or RetireRequest()
        return await told(await rollouts.retire(id, acting(caller), asked.reason, yes=asked.yes))

    @router.post("/rollouts/{id}/judgments", summary="Compare the arms on what people judged", **shapes.ROLLOUT)
    async def judge(id: RolloutPath, request: JudgmentsRequest, caller: administrator) -> dict[str, Any]:
        return await told(await relevance.judge(await rollouts.get(id), caller.tenant, request.checked()))

    @router.get("/indexes", summary="Every index, its state, and how well it does", **shapes.INDEXES)
    async def indexes(caller: administrator) -> dict[str, Any]:
        known = await rollouts.indexes()
        fit = await together(rollouts.fitness.of(one.id) for one in known)
        return {"indexes": [{**index_document(one), **of} for one, of in zip(known, fit, strict=True)]}

    return router


def rollout_document(rollout: Rollout, candidate: Index, control: Index) -> dict[str, Any]:
    """As GET /rollouts tells it. gates: of the next step that has any."""
    figures = {part: told for part, told in rollout.figures.items() if part not in OF_JUDGES}
    verdict = figures.get("verdict", {"verdict": "wait", "reasons": []})
    fault = fault_of(figures) if rollout.state in RUNNING else ""
    standing = standing_of(rollout, {one.id: one.state for one in (candidate, control)})
    return {
        "id": rollout.id,
        "state": rollout.state.value,
        "candidate": index_document(candidate),
        "control": index_document(control),
        "model": rollout.model,
        "mode": rollout.mode.value,
        "share": rollout.share,
        "auto_promote": rollout.auto_promote,
        "created_at_ms": rollout.created_at_ms,
        "changed_at_ms": rollout.changed_at_ms,
        "gates": [gate.document() for gate in _gates_of(standing, figures)],
        "figures": figures,
        "shadow": figures.get("shadow"),
        "judged": figures.get(JUDGED),
        "canary": figures.get("canary"),
        "verdict": verdict["verdict"],
        "reasons": [*([fault] if fault else []), *verdict["reasons"]],
        "allowed": list(allowed_steps(standing)),
    }


def _gates_of(now: Standing, figures: Mapping[str, Any]) -> tuple[Gate, ...]:
    if now.rollout in (RolloutState.BUILDING, RolloutState.PAUSED):
        return build_gates(figures.get("build", {}))
    return share_gates(figures) if earns_its_share(now) else ()


def index_document(index: Index) -> dict[str, Any]:
    return {
        "id": index.id,
        "space": index.space,
        "state": index.state.value,
        "factory": index.factory,
        "shards": index.shards,
        "codebook": index.codebook,
        "match_score": index.match_score,
    }


def audit_document(entry: Any) -> dict[str, Any]:
    """JSON values only."""
    return {**asdict(entry), "state": entry.state.value}


def acting(caller: Caller) -> str:
    """Who takes a step, for the audit."""
    return caller.name or OWNER

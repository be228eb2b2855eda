"""A live index and another model's candidate, for the contract."""

from dataclasses import replace

from omma.catalog.interface import Catalog
from omma.catalog.rollout import Told
from omma.index import Index, IndexId, IndexState
from omma.rollouts.rollout import Rollout, RolloutId, RolloutState
from omma.rollouts.walk import Step
from omma.space import Space, SpaceId
from tests.contract.catalogs import INDEX, SPACE

LIVE = replace(INDEX, state=IndexState.LIVE)
OTHER = Space(SpaceId("other-1-12345678"), "other@1", "e" * 64, 128)
CANDIDATE = Index(IndexId(f"{OTHER.id}.1"), OTHER.id, "Flat", 1, IndexState.BUILDING)
ROLLOUT = Rollout(RolloutId("r1"), RolloutState.BUILDING, CANDIDATE.id, LIVE.id, OTHER.model)
TOLD = Told("ann", "to see")


async def with_live_index(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    await catalog.register_index(LIVE)


async def states(catalog: Catalog) -> dict[str, IndexState]:
    return {one.id: one.state for one in await catalog.indexes()}


async def roll_out(catalog: Catalog) -> None:
    """INDEX answers, in place of another space's index, which is in standby."""
    former = replace(CANDIDATE, state=IndexState.LIVE)
    await catalog.register_space(OTHER)
    await catalog.register_index(former)
    rollout = replace(ROLLOUT, id=RolloutId("r0"), candidate=INDEX.id, control=former.id, model=SPACE.model)
    await catalog.start_rollout(rollout, SPACE, INDEX, TOLD)
    for step in (Step.SHADOW, Step.CANARY, Step.PROMOTE):
        await catalog.move_rollout(rollout.id, step, TOLD, 100.0)

"""GET /stats: what catalog, log and shards hold, so that their counts can be compared."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends

from omma.catalog.interface import Catalog
from omma.errors import OmmaError
from omma.rpc.deadline import Deadline
from omma.together import together
from services.gateway.rest.schemas.ops import STATS
from services.gateway.rest.signed_in import SignedIn
from services.nn_shard.client import ShardClient
from services.topology.indexes import ServedIndexes

_TIMEOUT_SECONDS = 5.0


def stats_router(
    catalog: Catalog, indexes: ServedIndexes, waiting: Callable[[], Awaitable[int]], admin: SignedIn
) -> APIRouter:
    """waiting: pictures that wait to be embedded."""
    router = APIRouter(tags=["operation"], dependencies=[Depends(admin)])

    @router.get("/stats", summary="What catalog, log and shards hold", **STATS)
    async def stats() -> dict[str, Any]:
        """Every replica of the live index, and the rows that belong there; one that does not answer says why."""
        live = indexes.live()
        space = live.space
        model = {"name": space.model, "space": space.id, "dim": space.dim, "text": live.embedder.has_text_tower}
        deadline = Deadline.after(_TIMEOUT_SECONDS)
        said = await together(
            _replica(shard, replica, client, deadline)
            for shard, replicas in enumerate(live.shards)
            for replica, client in enumerate(replicas)
        )
        return {"model": model, "catalog": await catalog.counts(space.id), "waiting": await waiting(), "shards": said}

    return router


async def _replica(shard: int, replica: int, client: ShardClient, deadline: Deadline) -> dict[str, Any]:
    at = {"shard": shard, "replica": replica}
    try:
        said = asdict(await client.stats(deadline))
    except OmmaError as error:
        return {**at, "error": error.detail}
    del said["next_offsets"]
    return {**said, **at}

"""GET /stats: what catalog, log and shards hold, so that their counts can be compared."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends

from omma.catalog.interface import Catalog
from omma.rpc.deadline import Deadline
from services.gateway.rest.signed_in import SignedIn
from services.indexer.jobs import Jobs
from services.nn_shard.client import ShardClient

_TIMEOUT_SECONDS = 5.0


def stats_router(
    catalog: Catalog, shards: Sequence[ShardClient], jobs: Jobs, model: dict[str, Any], admin: SignedIn
) -> APIRouter:
    """model: what /stats says of it."""
    router = APIRouter(tags=["operations"], dependencies=[Depends(admin)])

    @router.get("/stats", summary="What catalog, log and shards hold")
    async def stats() -> dict[str, Any]:
        deadline = Deadline.after(_TIMEOUT_SECONDS)
        said = [asdict(await shard.stats(deadline)) for shard in shards]
        for one in said:
            del one["next_offsets"]
        return {"model": model, "catalog": await catalog.counts(), "waiting": await jobs.waiting(), "shards": said}

    return router

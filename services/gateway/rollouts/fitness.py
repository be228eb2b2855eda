"""How well each index does what it is for: measured recall of live traffic, and whether its codebook still fits."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from omma.drift import Drift
from omma.errors import OmmaError
from omma.rpc.deadline import Deadline
from omma.together import together
from services.nn_shard.client import ShardClient
from services.topology.indexes import ServedIndexes

_TIMEOUT_SECONDS: Final = 2.0


class Fitness:
    """Asks one replica of each shard."""

    def __init__(self, indexes: ServedIndexes, recall_at_10: Callable[[str], float | None]) -> None:
        """recall_at_10: of an index, as this gateway measured it; None before."""
        self._indexes = indexes
        self._recall_at_10 = recall_at_10

    async def of(self, index_id: str) -> dict[str, Any]:
        """JSON values only. drift: None without a codebook, before it was measured, and where no shard answers."""
        placed = self._indexes.placed(index_id)
        recall = self._recall_at_10(index_id)
        deadline = Deadline.after(_TIMEOUT_SECONDS)
        shards = () if placed is None else placed.shards
        told = await together(_drift(replicas[0], deadline) for replicas in shards)
        drift = worst([one for one in told if one is not None])
        return {
            "recall_at_10": None if recall is None else round(recall, 4),
            "drift": None if drift is None else asdict(drift),
        }


def worst(shards: list[Drift]) -> Drift | None:
    """Of an index, what the worst of its shards tells; None of none. Pure."""
    if not shards:
        return None
    fits = [one.recent_fit for one in shards if one.recent_fit]
    return Drift(
        train_rows=shards[0].train_rows,
        list_imbalance=round(max(one.list_imbalance for one in shards), 4),
        quantisation_error=round(max(one.quantisation_error for one in shards), 6),
        recent_fit=round(min(fits, default=0.0), 4),
        rebuild=next((one.rebuild for one in shards if one.rebuild), ""),
    )


async def _drift(shard: ShardClient, deadline: Deadline) -> Drift | None:
    try:
        return (await shard.stats(deadline)).drift
    except OmmaError:
        return None

"""Whether the gateway may be asked: it has a live index, and is not being stopped."""

from typing import Any

from omma.errors import ReplicaDown
from services.gateway.surroundings import Surroundings
from services.topology.indexes import ServedIndexes


class Health:
    """draining: set first when the process stops, so that callers go elsewhere while it still answers."""

    def __init__(self, indexes: ServedIndexes, surroundings: Surroundings) -> None:
        self._indexes = indexes
        self._surroundings = surroundings
        self.draining = False

    @property
    def ready(self) -> bool:
        """A live index is at hand and the process is not ending."""
        if self.draining:
            return False
        try:
            self._indexes.live()
        except ReplicaDown:
            return False
        return True

    def conditions(self) -> dict[str, Any]:
        """What is away or behind while searches go on."""
        seen = self._surroundings
        return {"embedder": "away" if seen.towers_away else "ready", "writes": "behind" if seen.behind else "current"}

    def document(self) -> dict[str, Any]:
        """What GET /health says; of no tenant's pictures."""
        every = self._indexes.every()
        return {
            "ok": self.ready,
            **self.conditions(),
            "indexes": [
                {
                    "id": one.index.id,
                    "space": one.space.id,
                    "model": one.space.model,
                    "dim": one.space.dim,
                    "state": one.index.state.value,
                    "shards": len(one.shards),
                    "text": one.embedder.has_text_tower,
                }
                for one in every
            ],
            "misplaced": list(self._indexes.misplaced()),
        }

"""Which indexes this process can ask, and with which embedder and shards."""

from collections.abc import Iterable
from dataclasses import dataclass

from omma.errors import Absent, ReplicaDown, WrongState
from omma.index import Index, IndexState
from omma.space import Space
from services.egs.client import Embedder
from services.nn_shard.client import ShardClient


@dataclass(frozen=True, slots=True)
class PlacedIndex:
    """shards: the replicas of shard 0, of shard 1, …; all of `index.shards`."""

    index: Index
    space: Space
    shards: tuple[tuple[ShardClient, ...], ...]


@dataclass(frozen=True, slots=True)
class ServedIndex(PlacedIndex):
    """One that queries can be embedded for."""

    embedder: Embedder


class ServedIndexes:
    """The indexes at hand; replaced as a whole when one is added, made live or retired."""

    def __init__(self, served: Iterable[ServedIndex] = ()) -> None:
        self._served: dict[str, ServedIndex] = {}
        self.replace(served)

    def replace(self, served: Iterable[ServedIndex]) -> None:
        """Searches under way keep what they started with."""
        self._served = {one.index.id: one for one in served}

    def every(self) -> tuple[ServedIndex, ...]:
        return tuple(self._served.values())

    def live(self) -> ServedIndex:
        """Raises ReplicaDown while there is none."""
        for one in self._served.values():
            if one.index.state is IndexState.LIVE:
                return one
        raise ReplicaDown("No index is live yet.", field="index")

    def pinned(self, index_id: str) -> ServedIndex:
        """The one with this id, the live one for an empty id. Raises Absent, WrongState while it is being built."""
        if not index_id:
            return self.live()
        found = self._served.get(index_id)
        if found is None:
            there_are = ", ".join(sorted(self._served)) or "none"
            raise Absent(f"There is no index {index_id[:80]!r}; there are: {there_are}.", field="index")
        if found.index.state is IndexState.BUILDING:
            raise WrongState(f"Index {index_id!r} is still being built.", field="index")
        return found

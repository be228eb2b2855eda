"""Where the catalog's indexes are, as the topology says, followed while a process runs.

The topology owns places, model and number of shards, the catalog state and share. Where they disagree the index has no
place, and `unplaced` says why.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from omma.catalog.interface import Catalog
from omma.errors import OmmaError, ReplicaDown
from omma.index import Index, IndexId, IndexState
from omma.rollouts.rollout import Routing
from omma.space import Space, SpaceId
from services.egs.client import Modelless
from services.topology.connections import Connections
from services.topology.document import Entry
from services.topology.file import TopologyFile
from services.topology.indexes import PlacedIndex, ServedIndex

P = TypeVar("P", bound=PlacedIndex)

Make: TypeAlias = Callable[[Connections, Entry, PlacedIndex], Awaitable[P]]

EVERY_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


async def shards_only(_: Connections, __: Entry, placed: PlacedIndex) -> PlacedIndex:
    """For a process that embeds nothing."""
    return placed


async def with_embedder(connections: Connections, entry: Entry, placed: PlacedIndex) -> ServedIndex:
    """Raises as Connections.embedder: an index whose queries cannot be embedded has no place yet."""
    embedder = await connections.embedder(entry, placed.space) if placed.space.model else Modelless(placed.space)
    return ServedIndex(placed.index, placed.space, placed.shards, embedder)


@dataclass(frozen=True, slots=True)
class Found(Generic[P]):
    """One look. unplaced: the indexes that are not retired and have no place, with the reason in words."""

    routing: Routing
    placed: Mapping[IndexId, P]
    unplaced: Mapping[IndexId, str]


async def _nothing(_: Found[Any]) -> None:
    """Whoever asks looks at what was found."""


class Places(Generic[P]):
    """What was found last stays while the catalog is away, and the topology is followed all the same."""

    def __init__(self, file: TopologyFile, catalog: Catalog, connections: Connections, make: Make[P]) -> None:
        self._file = file
        self._catalog = catalog
        self._connections = connections
        self._make = make
        self._spaces: dict[SpaceId, Space] = {}
        self._told: Mapping[IndexId, str] = {}
        self.found: Found[P] | None = None

    async def run(self, then: Callable[[Found[P]], Awaitable[None]] = _nothing) -> None:
        """Look until cancelled. then: told what was found, each time."""
        while True:
            try:
                await then(await self.look())
            except (OmmaError, OSError, TimeoutError) as error:
                logger.warning("the places of the indexes could not be looked at", extra={"reason": repr(error)})
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> Found[P]:
        """Once. Raises what the catalog raises before anything was found."""
        await self._file.look()
        routing = await self._routing()
        active = [one for one in routing.indexes if one.state is not IndexState.RETIRED]
        answers = await asyncio.gather(*map(self._place, active))
        placed = {one.index.id: one for one in answers if not isinstance(one, str)}
        unplaced = {index.id: why for index, why in zip(active, answers, strict=True) if isinstance(why, str)}
        self._tell(unplaced, {one.id for one in routing.indexes if one.state is IndexState.RETIRED})
        await self._connections.forget()
        self.found = Found(routing, placed, unplaced)
        return self.found

    def live(self) -> P:
        """Raises ReplicaDown while there is none."""
        index = self._live_index()
        found = self.find(index.id)
        if found is None:
            raise ReplicaDown(f"Index {index.id} is live and has no place. {self._why(index.id)}", field="index")
        return found

    def find(self, index_id: str) -> P | None:
        """Whatever its state."""
        return None if self.found is None else self.found.placed.get(IndexId(index_id))

    def live_space(self) -> str:
        """Id of the live index's space, also while the index itself has no place. Raises ReplicaDown."""
        return self._live_index().space

    def _live_index(self) -> Index:
        known = () if self.found is None else self.found.routing.indexes
        for one in known:
            if one.state is IndexState.LIVE:
                return one
        raise ReplicaDown("No index is live yet.", field="index")

    def _why(self, index_id: IndexId) -> str:
        return "" if self.found is None else self.found.unplaced.get(index_id, "")

    async def _routing(self) -> Routing:
        try:
            routing = await self._catalog.routing()
            if any(one.space not in self._spaces for one in routing.indexes):
                self._spaces = {one.id: one for one in await self._catalog.spaces()}
        except (OmmaError, OSError):
            if self.found is None:
                raise
            return self.found.routing
        return routing

    async def _place(self, index: Index) -> P | str:
        """Its place, or why it has none."""
        entry = self._file.topology.entry(index.id)
        if entry is None:
            return f"OMMA_TOPOLOGY has no index {index.id}."
        space = self._spaces[index.space]
        if not entry.fits(space):
            said, known = entry.model or f"space {entry.space}", space.model or f"space {space.id}"
            return f"OMMA_TOPOLOGY says that {index.id} is of {said}, the catalog that it is of {known}."
        if entry.numbered not in (None, index.shards):
            return f"OMMA_TOPOLOGY has {entry.numbered} shards of {index.id}, the catalog {index.shards}."
        try:
            shards = await self._connections.shards(entry, index.shards)
            return await self._make(self._connections, entry, PlacedIndex(index, space, shards))
        except (OmmaError, OSError) as error:
            return error.detail if isinstance(error, OmmaError) else str(error)

    def _tell(self, unplaced: Mapping[IndexId, str], retired: set[IndexId]) -> None:
        useless = {
            IndexId(one.index): "It is retired; its entry and its processes may go."
            for one in self._file.topology.indexes
            if one.index in retired
        }
        for index_id, why in {**unplaced, **useless}.items():
            if self._told.get(index_id) != why:
                logger.warning("index %s has no place: %s", index_id, why)
        self._told = {**unplaced, **useless}

"""One indexer a space, for every space that has an index which is not retired: started and ended as those come and go.

A space that stalls, a candidate's above all, holds no other one back.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from omma.errors import WrongState
from omma.images import PictureLimits
from omma.index import Index, IndexId, IndexState
from omma.persistence import keep_running
from omma.rollouts.rollout import INDEXER, fault_of
from omma.storage import Storage
from services.egs.client import Embedder
from services.indexer.backfill import BackfillEmbedder
from services.indexer.embedding import OnHeld
from services.indexer.regions import vectors_a_picture
from services.indexer.settings import IndexerSettings
from services.indexer.sources import StoredVectors
from services.indexer.worker import Indexer, ignore

_RETRY_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fed:
    """An index that an indexer works for. shards: as Indexer has them, asked when it starts; raises ReplicaDown."""

    index: Index
    embedder: Embedder
    shards: Callable[[], Sequence[StoredVectors]]

    def continues(self, known: "Fed") -> bool:
        """Whether the indexer of what was fed before may go on."""
        return self.index.id == known.index.id and self.embedder is known.embedder


class Indexers:
    """Belongs to one event loop."""

    def __init__(
        self,
        storage: Storage,
        settings: IndexerSettings,
        limits: PictureLimits,
        *,
        backfill_share: float,
        on_held: OnHeld = ignore,
    ) -> None:
        """backfill_share: of the time in which what is still being built may embed. on_held: as Indexer's, of the live
        index's space.
        """
        self._storage = storage
        self._settings = settings
        self._limits = limits
        self._backfill_share = backfill_share
        self._on_held = on_held
        self._running: dict[str, tuple[Fed, asyncio.Task[None]]] = {}
        self._states: dict[str, IndexState] = {}
        self._told: dict[IndexId, str] = {}

    async def tend(self, fed: Iterable[Fed]) -> None:
        """Of each space its live index is fed, or its first; vectors that are known already are copied from it.

        A candidate whose model has not what is set is not fed, and its rollout says why. Raises WrongState, field
        `OMMA_INDEXER__REGIONS`, when that is the live index's model.
        """
        chosen: dict[str, Fed] = {}
        for one in sorted(fed, key=lambda one: one.index.state is not IndexState.LIVE):
            chosen.setdefault(one.index.space, one)
        faults = {space: self._fault(one) for space, one in chosen.items()}
        candidates = [one for one in chosen.values() if one.index.state is not IndexState.LIVE]
        chosen = {space: one for space, one in chosen.items() if not faults[space]}
        self._states = {space: one.index.state for space, one in chosen.items()}
        for space, (known, task) in list(self._running.items()):
            if space not in chosen or not chosen[space].continues(known):
                del self._running[space]
                await _ended(task)
        for space, one in chosen.items():
            if space not in self._running:
                work = keep_running("indexer", partial(self._index, one), _RETRY_SECONDS)
                self._running[space] = one, asyncio.ensure_future(work)
        for one in candidates:
            await self._tell(one.index, faults[one.index.space])

    def raise_faults(self) -> None:
        """What ended one by itself: another one has fenced it. Raises ProducerFenced."""
        for _, task in self._running.values():
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                raise fault

    async def close(self) -> None:
        """End them all; what was not committed is taken again by the next."""
        await _ended(*(task for _, task in self._running.values()))

    def _fault(self, fed: Fed) -> str:
        """Why a candidate cannot be fed, in words."""
        try:
            vectors_a_picture(self._settings.regions, fed.embedder)
        except WrongState as error:
            if fed.index.state is IndexState.LIVE:
                raise
            return error.detail
        return ""

    async def _tell(self, index: Index, fault: str) -> None:
        """Its rollout, once."""
        if self._told.get(index.id) == fault:
            return
        rollout = (await self._storage.catalog.routing()).running
        if rollout is not None and rollout.candidate == index.id and fault_of(rollout.figures) != fault:
            await self._storage.catalog.note_rollout(rollout.id, INDEXER, {"fault": fault})
        if fault:
            logger.error("index %s is not fed: %s", index.id, fault)
        self._told[index.id] = fault

    async def _index(self, fed: Fed) -> None:
        space, storage = fed.index.space, self._storage

        async def held(held: bool) -> None:
            if self._states.get(space) is IndexState.LIVE:
                await self._on_held(held)

        await Indexer(
            catalog=storage.catalog,
            log=storage.log,
            blobs=storage.blobs,
            originals=storage.originals,
            embedder=BackfillEmbedder(
                fed.embedder, lambda: self._states.get(space) is IndexState.BUILDING, share=self._backfill_share
            ),
            shards=fed.shards(),
            settings=self._settings,
            limits=self._limits,
            on_held=held,
        ).run()


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

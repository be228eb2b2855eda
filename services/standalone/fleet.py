"""Every index of the catalog that is not retired, running in this process, with its space's embedder and indexer.

One loop compares what the catalog says with what runs, so that a start, a rollout's step and a restart in the midst of
one are the same thing.
"""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from omma.background import running
from omma.errors import Absent, OmmaError, ReplicaDown, WrongState, causes
from omma.index import Index, IndexId, IndexState
from omma.persistence import keep_running
from omma.rollouts.rollout import RolloutState, Routing
from omma.space import Space
from omma.storage import Storage
from services.egs.client import Embedder
from services.egs.embedder import OnnxEmbedder
from services.indexer.worker import Indexer, ensure_topics
from services.nn_shard.shard import Shard
from services.standalone.backfill import BackfillEmbedder
from services.standalone.data_dir import DataDir
from services.standalone.models import stored_with
from services.standalone.settings import StandaloneSettings
from services.topology.indexes import ServedIndex, ServedIndexes

_LOOK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
_FORGOTTEN_AT_ONCE: Final = 10_000

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """shards: of the last try; they are made anew after a fault."""

    index: Index
    task: asyncio.Task[None]
    shards: tuple[Shard, ...] = ()


class Fleet:
    """Of one folder. A fault of the live index ends the process, as its shards' always did; another one's does not."""

    def __init__(
        self,
        settings: StandaloneSettings,
        data: DataDir,
        storage: Storage,
        indexes: ServedIndexes,
        stack: AsyncExitStack,
    ) -> None:
        """indexes: what the gateway asks; the fleet puts each index there once its shards are ready. stack: closes the
        embedders.
        """
        self._settings = settings
        self._data = data
        self._storage = storage
        self._indexes = indexes
        self._stack = stack
        self._embedders: dict[str, Embedder] = {}
        self._spaces: Mapping[str, Space] = {}
        self._indexers: dict[str, tuple[IndexId, asyncio.Task[None]]] = {}
        self._running: dict[IndexId, _Running] = {}
        self._served: dict[IndexId, ServedIndex] = {}
        self._routing: Routing | None = None
        self._followed = -1
        self._cleared: set[IndexId] = set()
        self._live_is_up = asyncio.Event()

    def know(self, embedder: Embedder) -> None:
        """One that is open already."""
        self._embedders[embedder.space.id] = embedder

    async def until_live(self) -> None:
        """Return when the live index answers."""
        await self._live_is_up.wait()

    def shard(self, index_id: str) -> Shard:
        """The only shard of this index. Raises Absent; WrongState when there are several."""
        found = self._running.get(IndexId(index_id))
        if found is None or not found.shards:
            raise Absent(f"There is no index {index_id[:80]!r} in this process.", field="index")
        if len(found.shards) > 1:
            raise WrongState("This process holds every shard: ask SearchService.", field="index")
        return found.shards[0]

    async def run(self) -> None:
        """Until cancelled; then everything is stopped."""
        try:
            while True:
                self._raise_faults()
                try:
                    await self.look()
                except OmmaError as error:
                    logger.warning("the indexes could not be looked at", extra={"reason": causes(error)})
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            tasks = [*(one.task for one in self._running.values()), *(task for _, task in self._indexers.values())]
            await _ended(*tasks)

    async def look(self) -> None:
        """Once: start what the catalog has and this process has not, stop what it has no more."""
        routing = await self._storage.catalog.routing()
        self._routing = routing
        if routing.epoch == self._followed:
            return
        self._spaces = {one.id: one for one in await self._storage.catalog.spaces()}
        wanted = {one.id: one for one in routing.indexes if one.state is not IndexState.RETIRED}
        if routing.running is not None and routing.running.state is RolloutState.PAUSED:
            wanted.pop(routing.running.candidate, None)
        for index_id in self._running.keys() - wanted.keys():
            await self._stop(index_id)
        started = [await self._start(index) for index in wanted.values() if index.id not in self._running]
        await self._tend_indexers(wanted)
        for index in routing.indexes:
            if index.state is IndexState.RETIRED and index.id not in self._cleared:
                await self._clear(index, wanted)
        if all(started):
            self._followed = routing.epoch

    async def _start(self, index: Index) -> bool:
        """False when it has to be tried again."""
        try:
            embedder = await self._embedder(self._spaces[index.space])
        except OmmaError as error:
            if index.state is IndexState.LIVE:
                raise
            logger.error("index %s cannot run: %s", index.id, error.detail)
            return False
        await ensure_topics(self._storage.log, embedder.space)
        serve = partial(self._serve, index, embedder)
        work = serve() if index.state is IndexState.LIVE else keep_running("index", serve, _RETRY_SECONDS)
        # A task that starts at once could look itself up before it is noted.
        self._running[index.id] = _Running(index, asyncio.ensure_future(work))
        logger.info("index %s runs", index.id, extra={"state": index.state.value})
        return True

    async def _serve(self, index: Index, embedder: Embedder) -> None:
        """Until cancelled: its shards, and its place among those that are asked once they are ready."""
        shards = self._shards(index, embedder.space)
        self._running[index.id].shards = shards
        try:
            async with running(*(shard.run for shard in shards)):
                for shard in shards:
                    await shard.replica.until_ready()
                placed = tuple((shard.client,) for shard in shards)
                self._served[index.id] = ServedIndex(index, embedder.space, placed, embedder)
                self._place()
                await asyncio.Event().wait()
        finally:
            if self._served.pop(index.id, None) is not None:
                self._place()

    def _place(self) -> None:
        self._indexes.replace(self._served.values())
        if any(one.index.state is IndexState.LIVE for one in self._indexes.every()):
            self._live_is_up.set()

    def _raise_faults(self) -> None:
        """What ended by itself: only a live index's shards do, and an indexer that another one has fenced."""
        for task in [*(one.task for one in self._running.values()), *(task for _, task in self._indexers.values())]:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                raise fault

    async def _stop(self, index_id: IndexId) -> None:
        await _ended(self._running.pop(index_id).task)
        logger.info("index %s runs no more", index_id)

    async def _tend_indexers(self, wanted: Mapping[IndexId, Index]) -> None:
        """One a space, reading vectors that are known already from the shards of its live index, or of its first."""
        chosen: dict[str, Index] = {}
        for index in sorted(wanted.values(), key=lambda one: one.state is not IndexState.LIVE):
            if index.id in self._running:
                chosen.setdefault(index.space, index)
        for space, (of_index, task) in list(self._indexers.items()):
            if space not in chosen or chosen[space].id != of_index:
                del self._indexers[space]
                await _ended(task)
        for space, index in chosen.items():
            if space not in self._indexers:
                work = keep_running("indexer", partial(self._index, index), _RETRY_SECONDS)
                self._indexers[space] = (index.id, asyncio.ensure_future(work))

    async def _index(self, index: Index) -> None:
        shards = self._running[index.id].shards
        if not shards:
            raise ReplicaDown(f"The shards of {index.id} do not run yet.")
        storage = self._storage
        embedder = BackfillEmbedder(
            self._embedders[index.space],
            lambda: self._is_building(index.id),
            share=self._settings.rollouts.backfill_share,
        )
        await Indexer(
            catalog=storage.catalog,
            log=storage.log,
            blobs=storage.blobs,
            originals=storage.originals,
            embedder=embedder,
            shards=[shard.client for shard in shards],
            settings=self._settings.indexer,
            limits=self._settings.pictures,
        ).run()

    def _is_building(self, index_id: IndexId) -> bool:
        known = () if self._routing is None else self._routing.indexes
        return any(one.id == index_id and one.state is IndexState.BUILDING for one in known)

    async def _embedder(self, space: Space) -> Embedder:
        if space.id not in self._embedders:
            model = await asyncio.to_thread(stored_with, self._settings, space.model)
            embedder = await asyncio.to_thread(OnnxEmbedder, model, self._settings.egs, limits=self._settings.pictures)
            self._stack.push_async_callback(embedder.close)
            if embedder.space.id != space.id:
                raise WrongState(
                    f"{space.model} makes vectors of {embedder.space.id} now, and those of {space.id} are stored. Put "
                    "the model back as it was.",
                    field="OMMA_MODEL",
                )
            self._embedders[space.id] = embedder
        return self._embedders[space.id]

    async def _clear(self, index: Index, wanted: Mapping[IndexId, Index]) -> None:
        """What a retired index has: its shards' files and snapshots; with the last of a space, the space's notes."""
        await asyncio.to_thread(shutil.rmtree, self._data.shards / index.id, ignore_errors=True)
        async for key in self._storage.blobs.keys(f"snapshots/{index.id}/"):
            await self._storage.blobs.delete(key)
        if all(one.space != index.space for one in wanted.values()):
            while await self._storage.catalog.forget_space(index.space, _FORGOTTEN_AT_ONCE) == _FORGOTTEN_AT_ONCE:
                pass
        self._cleared.add(index.id)

    def _shards(self, index: Index, space: Space) -> tuple[Shard, ...]:
        return tuple(
            Shard(
                folder=self._data.shards / index.id / str(number),
                space=space,
                index=index,
                shard=number,
                log=self._storage.log,
                blobs=self._storage.blobs,
                catalog=self._storage.catalog,
                settings=self._settings.shard,
                holder=f"{socket.gethostname()}:{os.getpid()}",
            )
            for number in range(index.shards)
        )


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""Every index of the catalog that is not retired, running in this process, with its space's embedder and indexer.

One loop compares what the catalog says with what runs, so that a start, a rollout's step and a restart in the midst of
one are the same thing.
"""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from omma.background import running
from omma.errors import Absent, OmmaError, ReplicaDown, WrongState, causes, unforeseen
from omma.index import Index, IndexId, IndexState
from omma.persistence import Pauses, keep_running
from omma.space import Space
from omma.storage import Storage
from services.egs.client import Embedder, Modelless
from services.egs.embedder import OnnxEmbedder
from services.indexer.spaces import Fed, Indexers
from services.indexer.worker import ensure_topics
from services.nn_shard.local import LocalShard
from services.nn_shard.shard import Shard
from services.standalone.data_dir import DataDir
from services.standalone.models import stored_with
from services.standalone.settings import StandaloneSettings
from services.topology.indexes import ServedIndex, ServedIndexes

_LOOK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 60.0
"""Of an index whose model cannot be opened: each try reads all of it."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Failing:
    """An index that could not be started. again_at: by the loop's clock."""

    pauses: Pauses
    again_at: float = 0.0


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
        embedders that are left.
        """
        stack.push_async_callback(self._close_embedders)
        self._settings = settings
        self._data = data
        self._storage = storage
        self._indexes = indexes
        self._embedders: dict[str, Embedder] = {}
        self._spaces: Mapping[str, Space] = {}
        self._indexers = Indexers(
            storage, settings.indexer, settings.pictures, backfill_share=settings.rollouts.backfill_share
        )
        self._running: dict[IndexId, _Running] = {}
        self._failing: dict[IndexId, _Failing] = {}
        self._served: dict[IndexId, ServedIndex] = {}
        self._followed = -1
        self._live_is_up = asyncio.Event()

    def know(self, embedder: Embedder) -> None:
        """One that is open already; the fleet closes it."""
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
            await self._indexers.close()
            await _ended(*(one.task for one in self._running.values()))

    async def look(self) -> None:
        """Once: start what the catalog has and this process has not, stop what it has no more."""
        routing = await self._storage.catalog.routing()
        if routing.epoch == self._followed:
            return
        self._spaces = {one.id: one for one in await self._storage.catalog.spaces()}
        wanted = {one.id: one for one in routing.indexes if one.state is not IndexState.RETIRED}
        for index_id in self._running.keys() - wanted.keys():
            await self._stop(index_id)
        started = [await self._start(index) for index in wanted.values() if index.id not in self._running]
        # One whose building is paused is not fed; its shards run, so that what is erased leaves them, too.
        fed = [one for one in wanted.values() if one.id in self._running and not routing.paused(one.id)]
        await self._indexers.tend(self._fed(one) for one in fed)
        await self._close_embedders(but={one.space for one in wanted.values()})
        for index in routing.indexes:
            if index.state is IndexState.RETIRED:
                await asyncio.to_thread(shutil.rmtree, self._data.shards / index.id, ignore_errors=True)
        if all(started):
            self._followed = routing.epoch

    async def _start(self, index: Index) -> bool:
        """False when it has to be tried again."""
        now = asyncio.get_running_loop().time
        failing = self._failing.get(index.id)
        if failing is not None and now() < failing.again_at:
            return False
        try:
            embedder = await self._embedder(self._spaces[index.space])
        except Exception as error:
            if index.state is IndexState.LIVE:
                raise
            logger.error("index %s cannot run: %s", index.id, causes(error), exc_info=unforeseen(error))
            failing = failing or _Failing(Pauses(_LOOK_SECONDS, _LONGEST_RETRY_SECONDS))
            failing.again_at = now() + failing.pauses.next_seconds()
            self._failing[index.id] = failing
            return False
        self._failing.pop(index.id, None)
        await ensure_topics(self._storage.log, embedder.space)
        serve = partial(self._serve, index, embedder)
        work = serve() if index.state is IndexState.LIVE else keep_running("index", serve, _RETRY_SECONDS)
        # A task that starts at once could look itself up before it is noted.
        self._running[index.id] = _Running(index, asyncio.ensure_future(work))
        logger.info("index %s runs", index.id, extra={"state": index.state.value})
        return True

    async def _serve(self, index: Index, embedder: Embedder) -> None:
        """Until cancelled: its shards, and its place among those that are asked once they are ready."""
        if index.id not in self._running:  # stopped, and a fault on the way took the cancellation's place
            raise asyncio.CancelledError
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
        self._indexers.raise_faults()
        for task in [one.task for one in self._running.values()]:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                raise fault

    async def _stop(self, index_id: IndexId) -> None:
        await _ended(self._running.pop(index_id).task)
        logger.info("index %s runs no more", index_id)

    def _fed(self, index: Index) -> Fed:
        def shards() -> Sequence[LocalShard]:
            running = self._running.get(index.id)
            if running is None or not running.shards:
                raise ReplicaDown(f"The shards of {index.id} do not run yet.")
            return [shard.client for shard in running.shards]

        return Fed(index, self._embedders[index.space], shards)

    async def _embedder(self, space: Space) -> Embedder:
        if space.id not in self._embedders:
            self._embedders[space.id] = await self._opened(space)
        return self._embedders[space.id]

    async def _opened(self, space: Space) -> Embedder:
        if not space.model:
            return Modelless(space)
        model = await asyncio.to_thread(stored_with, self._settings, space)
        embedder = await asyncio.to_thread(OnnxEmbedder, model, self._settings.egs, limits=self._settings.pictures)
        if embedder.space.id != space.id:
            await embedder.close()
            raise WrongState(
                f"{space.model} makes vectors of {embedder.space.id} now, and those of {space.id} are stored. Put "
                "the model back as it was.",
                field="OMMA_MODEL",
            )
        return embedder

    async def _close_embedders(self, *, but: Collection[str] = ()) -> None:
        """Of every space but these: no index of theirs runs here any more."""
        for space in self._embedders.keys() - set(but):
            await self._embedders.pop(space).close()

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

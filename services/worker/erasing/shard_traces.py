"""What shards and their snapshots still have of erased pictures."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

from omma.blobs.interface import Blobs
from omma.catalog.interface import Catalog
from omma.errors import OmmaError, ReplicaDown
from omma.identity import ImageId
from omma.index import IndexState
from omma.rpc.deadline import Deadline
from services.topology.indexes import PlacedIndex
from services.worker.jobs.progress import Progress

_ASK_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.5
_MANIFEST: Final = re.compile(r"(snapshots/[^/]+/[^/]+)/manifests/(\d+)-[0-9a-f]+\.json")


class ShardTraces:
    """Of every index: the replicas of those that are not retired do it, what retired ones left is deleted."""

    def __init__(self, catalog: Catalog, blobs: Blobs, placed: Callable[[str], PlacedIndex | None]) -> None:
        """placed: an index's replicas, None where they are not known."""
        self._catalog = catalog
        self._blobs = blobs
        self._placed = placed

    async def clear(self, order: str, image_ids: Sequence[ImageId], progress: Progress) -> None:
        """Returns when every replica has said so, and no snapshot is left that is older; counts `replicas`.

        order: names this erasure. Waits for replicas that do not answer.
        """
        before, tries = await self._snapshots(), 0
        while True:
            tries += 1
            replicas = await self._ask_all(f"{order}.{tries}", image_ids)
            progress.counts["replicas"] = max(progress.counts["replicas"], replicas)
            retired = {one.id for one in await self._catalog.indexes() if one.state is IndexState.RETIRED}
            for place in before:
                if place.split("/")[1] in retired:
                    async for key in self._blobs.keys(f"{place}/"):
                        await self._blobs.delete(key)
            now = await self._snapshots()
            # A replica that went with its lease left older ones: who has the lease next is asked again.
            if all(now[place][0] > newest for place, (_, newest) in before.items() if place in now):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask_all(self, token: str, image_ids: Sequence[ImageId]) -> int:
        """Until all of them have said that it is done; returns how many."""
        while True:
            replicas = 0
            try:
                for index in await self._catalog.indexes():
                    if index.state is IndexState.RETIRED:
                        continue
                    placed = self._placed(index.id)
                    if placed is None:
                        raise ReplicaDown(f"The shards of index {index.id} are not known here.")
                    done = [
                        await replica.erase(token, image_ids, Deadline.after(_ASK_SECONDS))
                        for shard in placed.shards
                        for replica in shard
                    ]
                    if not all(done):
                        raise ReplicaDown(f"Replicas of {index.id} still have some.")
                    replicas += len(done)
            except OmmaError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return replicas

    async def _snapshots(self) -> dict[str, tuple[int, int]]:
        """Numbers of the oldest and the newest, by the place of their shard."""
        numbers: dict[str, list[int]] = {}
        async for key in self._blobs.keys("snapshots/"):
            if found := _MANIFEST.fullmatch(key):
                numbers.setdefault(found[1], []).append(int(found[2]))
        return {place: (min(each), max(each)) for place, each in numbers.items()}

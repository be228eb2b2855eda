"""Every replica of an index, asked what it holds; one that does not answer is left out from then on, and said so."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from omma.buckets import buckets_of_shard
from omma.errors import OmmaError
from omma.rpc.deadline import Deadline
from services.nn_shard.client import BucketDigests, ShardClient
from services.topology.indexes import PlacedIndex
from services.worker.truth.compare import Held

_CALL_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.2

At = tuple[int, int]
"""Shard and replica."""


class ReplicaViews:
    """One comparison's view of the replicas. Used by one task."""

    def __init__(self, served: PlacedIndex) -> None:
        self._clients: dict[At, ShardClient] = {
            (shard, replica): client
            for shard, replicas in enumerate(served.shards)
            for replica, client in enumerate(replicas)
        }
        self._owned = [
            buckets_of_shard(shard, served.index.shards, served.space.buckets) for shard in range(served.index.shards)
        ]
        self._left_out: dict[At, str] = {}

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """Those that were not compared to the end, and why."""
        return [{"shard": s, "replica": r, "error": why} for (s, r), why in sorted(self._left_out.items())]

    async def digests(self) -> dict[At, BucketDigests]:
        """Of all that answer."""
        answers = await asyncio.gather(*(self._digests(at) for at in self._asked()))
        return {at: answer for at, answer in answers if answer is not None}

    async def until_applied(self, offsets: Mapping[int, int], seconds: float) -> None:
        """Until every replica has read these buckets up to here; those that do not in time are left out."""
        deadline = Deadline.after(seconds)
        while behind := [at for at, said in (await self.digests()).items() if _behind(said, offsets)]:
            if deadline.remaining_seconds() == 0:
                for at in behind:
                    self._left_out[at] = f"It has not read the log's end of {seconds:g} s ago."
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def held(self, bucket: int) -> list[Held]:
        """By every replica that owns the bucket and answers."""
        asked = [at for at in self._asked() if bucket in self._owned[at[0]]]
        answers = await asyncio.gather(*(self._held(at, bucket) for at in asked))
        return [answer for answer in answers if answer is not None]

    def _asked(self) -> Collection[At]:
        return [at for at in self._clients if at not in self._left_out]

    async def _digests(self, at: At) -> tuple[At, BucketDigests | None]:
        try:
            return at, await self._clients[at].digests(Deadline.after(_CALL_SECONDS))
        except OmmaError as error:
            self._left_out[at] = error.detail
            return at, None

    async def _held(self, at: At, bucket: int) -> Held | None:
        ids, versions = [], []
        after, more = 0, True
        try:
            while more:
                page = await self._clients[at].pictures(bucket, after, Deadline.after(_CALL_SECONDS))
                ids.append(page.ids)
                versions.append(page.versions)
                more = page.more
                after = int(page.ids[-1]) if len(page.ids) else after
        except OmmaError as error:
            self._left_out[at] = error.detail
            return None
        return Held(*at, np.concatenate(ids), np.concatenate(versions))


def _behind(said: BucketDigests, offsets: Mapping[int, int]) -> bool:
    read = dict(zip(said.buckets, said.next_offsets.tolist(), strict=True))
    return any(read[bucket] < offset for bucket, offset in offsets.items() if bucket in read)

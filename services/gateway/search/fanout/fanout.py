"""Asks the shards of an index, and remembers what it learns of their replicas."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final, TypeAlias, TypeVar

from omma.buckets import shard_of
from omma.errors import InvalidQuery, ReplicaDown, WrongState
from omma.hits import Degraded, ShardHits
from omma.identity import ImageId, Receipt, Tenant
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import HEDGE_BUDGET
from omma.telemetry.traces import span
from services.gateway.search.fanout.budget import HedgeBudget
from services.gateway.search.fanout.coverage import Coverage, ShardOutcome, coverage_of
from services.gateway.search.fanout.race import Race
from services.gateway.search.fanout.replica import Replica
from services.gateway.search.fanout.replicas import Replicas
from services.gateway.search.fanout.scatter import scatter
from services.gateway.search.fanout.settings import FanoutSettings
from services.nn_shard.client import FetchedPicture, ShardClient, ShardQuery
from services.topology.indexes import ServedIndex

T = TypeVar("T")

_Fetched: TypeAlias = tuple[int, list[ImageId], Race[list[FetchedPicture]]]
"""A shard, the pictures that it owns, and what it said."""

_MAX_INDEXES: Final = 16
"""Remembered at a time; an index that was retired long ago is forgotten."""

_WITH_RECEIPTS: Final = 0.85
"""Of its time, after which a search with receipts is hedged: the replica itself may wait three quarters of it."""


class Fanout:
    """Belongs to one event loop. What it learns of replicas lasts as long as the shard's replicas stay the same."""

    def __init__(
        self,
        settings: FanoutSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._settings = settings or FanoutSettings()
        self._clock = clock
        self._random = random or Random()
        self._budget = HedgeBudget(self._settings.hedge_share, self._settings.hedge_burst)
        self._replicas: dict[str, tuple[Replicas, ...]] = {}
        self._looks: set[asyncio.Task[None]] = set()

    async def search(
        self, served: ServedIndex, query: ShardQuery, receipts: Sequence[Receipt], deadline: Deadline
    ) -> list[ShardOutcome]:
        """One outcome a shard, in order. Receipts go to the shards that own their pictures.

        Raises InvalidQuery that a shard found in the query: the caller's fault, not the shard's.
        """
        owned = _by_shard(receipts, served)
        races = [
            self._search_race(replicas, replace(query, receipts=owned[shard]) if shard in owned else query, deadline)
            for shard, replicas in enumerate(self._replicas_of(served))
        ]
        await scatter(races, deadline, self._clock)
        HEDGE_BUDGET.set(self._budget.saved)
        for race in races:
            if isinstance(race.error, InvalidQuery):
                raise race.error
        return [
            ShardOutcome(shard, race.replica, race.took_seconds * 1000, race.answer, race.error)
            for shard, race in enumerate(races)
        ]

    async def fetch(
        self, served: ServedIndex, tenant: Tenant, image_ids: Sequence[ImageId], deadline: Deadline
    ) -> dict[ImageId, FetchedPicture]:
        """The stored pictures from the shards that own them; absent ones are left out.

        Raises ReplicaDown, in words that name no address; what else a shard raised.
        """
        fetched = await self._fetched(served, tenant, image_ids, deadline)
        for shard, ids, race in fetched:
            if isinstance(race.error, ReplicaDown):
                raise ReplicaDown(f"Shard {shard}, which holds picture {ids[0]}, does not answer.") from race.error
            if race.error is not None:
                raise race.error
        return _by_id(fetched)

    async def fetch_some(
        self, served: ServedIndex, tenant: Tenant, image_ids: Sequence[ImageId], deadline: Deadline
    ) -> dict[ImageId, FetchedPicture]:
        """As `fetch`, without those whose shard does not answer."""
        return _by_id(await self._fetched(served, tenant, image_ids, deadline))

    async def _fetched(
        self, served: ServedIndex, tenant: Tenant, image_ids: Sequence[ImageId], deadline: Deadline
    ) -> list[_Fetched]:
        owned: dict[int, list[ImageId]] = {}
        for image_id in image_ids:
            owned.setdefault(shard_of(image_id, len(served.shards), served.space.buckets), []).append(image_id)
        every = self._replicas_of(served)
        races = [self._fetch_race(every[shard], tenant, ids, deadline) for shard, ids in owned.items()]
        await scatter(races, deadline, self._clock)
        return [(shard, ids, race) for (shard, ids), race in zip(owned.items(), races, strict=True)]

    def coverage(self, served: ServedIndex, outcomes: Sequence[ShardOutcome]) -> Coverage:
        """How much of what is live the outcomes rest on."""
        last_live = {one.shard: one.live for one in self._replicas_of(served) if one.live is not None}
        return coverage_of(outcomes, last_live)

    def known(self, index: str) -> tuple[Replicas, ...]:
        """What it has learned of an index's replicas, by shard; empty before the first search."""
        return self._replicas.get(index, ())

    def forget(self, index: str) -> None:
        """Of an index that answers no more; a search that is still under way learns it anew."""
        for replicas in self._replicas.pop(index, ()):
            replicas.forget()

    def _search_race(self, replicas: Replicas, query: ShardQuery, deadline: Deadline) -> Race[ShardHits]:
        async def search(client: ShardClient) -> ShardHits:
            with span("shard", shard=replicas.shard):
                return await client.search(query, deadline)

        def accept(replica: Replica, answer: ShardHits, asked_at: float) -> ShardHits:
            if (answer.index, answer.space) != (query.index, query.space):
                raise WrongState(f"Shard {replicas.shard} answered for index {answer.index!r}, not {query.index!r}.")
            replicas.live = answer.live
            says_stale = Degraded.STALE_REPLICA in answer.degraded
            if replicas.saw(replica, answer.applied, asked_at, says_stale=says_stale) and not says_stale:
                return replace(answer, degraded=answer.degraded | {Degraded.STALE_REPLICA})
            return answer

        if query.receipts:
            return self._race(replicas, search, accept, hedge_after=_WITH_RECEIPTS * deadline.remaining_seconds())
        return self._race(replicas, search, accept, (query.exact, query.use_crops, bool(query.filter)))

    def _fetch_race(
        self, replicas: Replicas, tenant: Tenant, image_ids: Sequence[ImageId], deadline: Deadline
    ) -> Race[list[FetchedPicture]]:
        async def fetch(client: ShardClient) -> list[FetchedPicture]:
            return await client.fetch(tenant, image_ids, deadline)

        return self._race(replicas, fetch, _as_it_is, "fetch")

    def _race(
        self,
        replicas: Replicas,
        ask: Callable[[ShardClient], Coroutine[Any, Any, T]],
        accept: Callable[[Replica, T, float], T],
        kind: object = None,
        *,
        hedge_after: float | None = None,
    ) -> Race[T]:
        """hedge_after: for a call that takes as long as it waits, so that its time says nothing of the replica."""
        pace = None
        if hedge_after is None:
            pace = replicas.pace(kind)
            known = self._settings.hedge_first_seconds if pace.value is None else pace.value
            hedge_after = max(self._settings.hedge_min_seconds, known)
        return Race(replicas, ask, accept, hedge_after=hedge_after, pace=pace, budget=self._budget, clock=self._clock)

    def _replicas_of(self, served: ServedIndex) -> tuple[Replicas, ...]:
        """By shard. Also looks after the ones that are passed over, so that they come back."""
        every = self.known(served.index.id)
        if len(every) != len(served.shards) or any(map(_differs, every, served.shards)):
            every = self._learn_anew(served, every)
        for replicas in every:
            if replicas.some_passed_over:
                for replica in replicas.to_look_at():
                    look = asyncio.get_running_loop().create_task(replicas.look(replica))
                    self._looks.add(look)
                    look.add_done_callback(self._looks.discard)
        return every

    def _learn_anew(self, served: ServedIndex, known: Sequence[Replicas]) -> tuple[Replicas, ...]:
        index = served.index.id
        every = tuple(
            known[shard]
            if shard < len(known) and not _differs(known[shard], clients)
            else Replicas(index, shard, clients, self._settings, clock=self._clock, random=self._random)
            for shard, clients in enumerate(served.shards)
        )
        self._replicas.pop(index, None)
        self._replicas[index] = every
        while len(self._replicas) > _MAX_INDEXES:
            self.forget(next(iter(self._replicas)))
        return every


def _by_id(fetched: Sequence[_Fetched]) -> dict[ImageId, FetchedPicture]:
    return {one.image_id: one for _, _, race in fetched for one in race.answer or ()}


def _differs(replicas: Replicas, clients: tuple[ShardClient, ...]) -> bool:
    return replicas.clients is not clients and replicas.clients != clients


def _as_it_is(_: Replica, answer: T, __: float) -> T:
    return answer


def _by_shard(receipts: Sequence[Receipt], served: ServedIndex) -> dict[int, tuple[Receipt, ...]]:
    owned: dict[int, tuple[Receipt, ...]] = {}
    for receipt in receipts:
        shard = shard_of(receipt.image_id, len(served.shards), served.space.buckets)
        owned[shard] = (*owned.get(shard, ()), receipt)
    return owned

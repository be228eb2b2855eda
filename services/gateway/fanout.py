"""Every shard is asked once, with the time that is left; one that fails becomes a value."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from omma.buckets import shard_of
from omma.errors import InvalidQuery, OmmaError, OutOfTime, Overloaded, ReplicaDown
from omma.hits import ShardHits
from omma.identity import ImageId, Receipt, Tenant
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import SHARD_CALLS
from omma.telemetry.traces import span
from services.gateway.indexes import ServedIndex
from services.nn_shard.client import FetchedPicture, ShardClient, ShardQuery

T = TypeVar("T")

_OTHER_REPLICA: Final = (ReplicaDown, Overloaded)
"""What another replica may do better, asked at once."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What one shard said: an answer, or why there is none. replica: the one that was asked last."""

    shard: int
    replica: int
    took_ms: float
    answer: ShardHits | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """fraction: of live vectors; a missing shard counts with what it last said, else with the mean of the others."""

    fraction: float
    shards_answered: int
    shards_total: int


class Fanout:
    """Asks the shards of an index, replicas in turn, and remembers how much each holds."""

    def __init__(self) -> None:
        self._turn = itertools.count()
        self._live: dict[tuple[str, int], int] = {}

    async def search(
        self, served: ServedIndex, query: ShardQuery, receipts: Sequence[Receipt], deadline: Deadline
    ) -> list[ShardOutcome]:
        """One outcome a shard, in order. Receipts go to the shards that own their pictures.

        Raises InvalidQuery that a shard found in the query: the caller's fault, not the shard's.
        """
        owned = _by_shard(receipts, served)
        outcomes = await asyncio.gather(
            *(
                self._ask(served, shard, replace(query, receipts=owned.get(shard, ())), deadline)
                for shard in range(len(served.shards))
            )
        )
        for outcome in outcomes:
            if isinstance(outcome.error, InvalidQuery):
                raise outcome.error
        return outcomes

    async def fetch(
        self, served: ServedIndex, tenant: Tenant, image_id: ImageId, deadline: Deadline
    ) -> FetchedPicture | None:
        """The stored picture from the shard that owns it; None when it is absent.

        Raises ReplicaDown, in words that name no address; what else the shard raised.
        """
        shard = shard_of(image_id, len(served.shards), served.space.buckets)

        async def fetch(client: ShardClient) -> list[FetchedPicture]:
            return await client.fetch(tenant, [image_id], deadline)

        try:
            _, found = await self._first_able(served.shards[shard], fetch)
        except ReplicaDown as error:
            logger.warning("a shard could not be asked", extra={"shard": shard, "reason": repr(error)})
            raise ReplicaDown(f"The shard that holds picture {image_id} does not answer.") from error
        return found[0] if found else None

    def coverage(self, served: ServedIndex, outcomes: Sequence[ShardOutcome]) -> Coverage:
        """How much of what is live the outcomes rest on."""
        index = served.index.id
        for outcome in outcomes:
            if outcome.answer is not None:
                self._live[index, outcome.shard] = outcome.answer.live
        answered = [outcome.answer.live for outcome in outcomes if outcome.answer is not None]
        mean = sum(answered) / len(answered) if answered else 0.0
        missing = [self._live.get((index, one.shard), mean) for one in outcomes if one.answer is None]
        total = sum(answered) + sum(missing)
        share_of_shards = len(answered) / len(outcomes)
        fraction = sum(answered) / total if total else share_of_shards
        return Coverage(fraction, len(answered), len(outcomes))

    async def _ask(self, served: ServedIndex, shard: int, query: ShardQuery, deadline: Deadline) -> ShardOutcome:
        started = time.perf_counter()

        async def search(client: ShardClient) -> ShardHits:
            # An in-process shard may overrun: its answer would come too late to be of use.
            async with asyncio.timeout(deadline.require()):
                return await client.search(query, deadline)

        with span("shard", shard=shard):
            try:
                replica, answer = await self._first_able(served.shards[shard], search)
            except Exception as error:  # noqa: BLE001  a fault in one shard must not end its siblings
                return _failed(shard, error, started)
        took_ms = (time.perf_counter() - started) * 1000
        if (answer.index, answer.space) != (query.index, query.space):
            stamp = ReplicaDown(f"Shard {shard} answered for index {answer.index!r}, not {query.index!r}.")
            return ShardOutcome(shard, replica, took_ms, error=stamp)
        return ShardOutcome(shard, replica, took_ms, answer)

    async def _first_able(
        self, replicas: Sequence[ShardClient], call: Callable[[ShardClient], Awaitable[T]]
    ) -> tuple[int, T]:
        first = next(self._turn)
        failure: OmmaError = ReplicaDown("The shard has no replica.")
        for attempt in range(len(replicas)):
            replica = (first + attempt) % len(replicas)
            name = "failover" if attempt else "first"
            try:
                answer = await call(replicas[replica])
            except _OTHER_REPLICA as error:
                SHARD_CALLS.labels(name, error.kind.value).inc()
                failure = error
            except OmmaError as error:
                SHARD_CALLS.labels(name, error.kind.value).inc()
                raise
            else:
                SHARD_CALLS.labels(name, "ok").inc()
                return replica, answer
        raise failure


def require_an_answer(outcomes: Sequence[ShardOutcome]) -> None:
    """Raises ReplicaDown when no shard answered; Overloaded when that is why."""
    if any(outcome.answer is not None for outcome in outcomes):
        return
    errors = [outcome.error for outcome in outcomes]
    if all(isinstance(error, Overloaded) for error in errors):
        raise Overloaded("Every shard is busy.", retry_after_seconds=1.0)
    late = sum(isinstance(error, OutOfTime) for error in errors)
    raise ReplicaDown(f"None of the {len(errors)} shards answered; {late} of them ran out of time.")


def _failed(shard: int, error: Exception, started: float) -> ShardOutcome:
    if isinstance(error, TimeoutError):
        error = OutOfTime("The shard did not answer in time.")
    if not isinstance(error, OmmaError):
        logger.error("a shard failed", extra={"shard": shard}, exc_info=error)
    return ShardOutcome(shard, 0, (time.perf_counter() - started) * 1000, error=error)


def _by_shard(receipts: Sequence[Receipt], served: ServedIndex) -> dict[int, tuple[Receipt, ...]]:
    owned: dict[int, tuple[Receipt, ...]] = {}
    for receipt in receipts:
        shard = shard_of(receipt.image_id, len(served.shards), served.space.buckets)
        owned[shard] = (*owned.get(shard, ()), receipt)
    return owned

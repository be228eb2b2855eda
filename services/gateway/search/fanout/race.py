"""One question to one shard: to one replica, then to others as faults and slowness demand, until one has answered."""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Generic, TypeVar

from omma.errors import Bug, Corrupt, OmmaError, OutOfTime, Overloaded, ReplicaDown, WrongSpace, WrongState
from omma.telemetry.metrics import SHARD_CALLS
from services.gateway.search.fanout.budget import HedgeBudget
from services.gateway.search.fanout.quantile import MovingQuantile
from services.gateway.search.fanout.replica import Replica, Standing
from services.gateway.search.fanout.replicas import Replicas
from services.nn_shard.client import ShardClient

T = TypeVar("T")

_ELSEWHERE: Final = (ReplicaDown, Overloaded, Corrupt, WrongSpace, WrongState, Bug)
"""What another replica may do better, asked at once. Anything else with a kind lies with the query or the clock."""

logger = logging.getLogger(__name__)


class Call:
    """One call under way. attempt: first, failover or hedge."""

    __slots__ = ("attempt", "marked", "replica", "started", "task")

    def __init__(self, replica: Replica, attempt: str, started: float, task: "asyncio.Task[Any]") -> None:
        self.replica = replica
        self.attempt = attempt
        self.started = started
        self.task = task
        self.marked = False

    @property
    def silent(self) -> bool:
        """Whether the replica has answered nothing at all since this call began."""
        return self.replica.answered_at < self.started


class Race(Generic[T]):
    """Ends with `answer` or `error`, once. Each replica is asked at most once. Belongs to one event loop."""

    def __init__(
        self,
        replicas: Replicas,
        ask: Callable[[ShardClient], Coroutine[Any, Any, T]],
        accept: Callable[[Replica, T, float], T],
        *,
        hedge_after: float,
        pace: MovingQuantile | None,
        budget: HedgeBudget,
        clock: Callable[[], float],
    ) -> None:
        """accept: given an answer and when it was asked for, returns what to use of it or raises why not.

        hedge_after: seconds without an answer. pace: told how long answers take; None when that says nothing.
        """
        self.replicas = replicas
        self.answer: T | None = None
        self.error: Exception | None = None
        self.replica = 0
        self.took_seconds = 0.0
        self.look_at = math.inf
        """When `look` is due."""
        self._ask = ask
        self._accept = accept
        self._hedge_after = hedge_after
        self._pause = hedge_after
        self._pace = pace
        self._budget = budget
        self._clock = clock
        self._tried: list[Replica] = []
        self._pending: list[Call] = []
        self._started = clock()
        self._settled: Callable[[], None] | None = None

    def start(self, settled: Callable[[], None]) -> None:
        """Ask the first replica. settled: called once, when there is an answer or an error, maybe at once."""
        self._settled = settled
        self._budget.called()
        replica = self.replicas.choose()
        if replica is None:
            self._end(error=self._nobody())
            return
        self._call(replica, "first")
        if len(self.replicas.every) > 1:
            self.look_at = self._started + self._hedge_after

    def look(self) -> None:
        """No answer for a while: ask another replica as well, if that is within the budget."""
        now = self._clock()
        if all(call.replica.ejected for call in self._pending):
            self._fail_over(worst=Standing.STALE)
        elif self.replicas.choose(self._tried, worst=Standing.GOOD) is None:
            self.look_at = math.inf
            return
        elif self._budget.spend():
            self._call_another("hedge", Standing.GOOD)
        else:
            for call in self._pending:
                if call.silent and self._a_sibling_answered_since(call):
                    self._failed(call)  # at each look again: it may be the only call that this replica has
            if all(call.replica.ejected for call in self._pending):
                self._fail_over(worst=Standing.STALE)
        self._pause *= 2
        self.look_at = now + self._pause

    def expire(self) -> None:
        """The deadline: who is asked now does not answer in time."""
        for call in self._pending:
            if call.silent and self._clock() - call.started >= self._hedge_after:
                self._mark(call)
        self._end(error=OutOfTime("The shard did not answer in time."))

    def abandon(self) -> None:
        """Nobody waits any more: what is under way is cancelled, at the replicas too."""
        self._settled = None
        self._cancel_pending()

    def _call(self, replica: Replica, attempt: str) -> None:
        self._tried.append(replica)
        self.replica = replica.number
        replica.in_flight += 1
        task = asyncio.get_running_loop().create_task(self._ask(replica.client))
        call = Call(replica, attempt, self._clock(), task)
        self._pending.append(call)
        task.add_done_callback(partial(self._done, call))

    def _call_another(self, attempt: str, worst: Standing) -> bool:
        replica = self.replicas.choose(self._tried, worst=worst)
        if replica is None:
            return False
        self._call(replica, attempt)
        return True

    def _fail_over(self, worst: Standing = Standing.UNREACHABLE) -> bool:
        return self._call_another("failover", worst)

    def _done(self, call: Call, task: "asyncio.Task[T]") -> None:
        call.replica.in_flight -= 1
        if call in self._pending:
            self._pending.remove(call)
        if task.cancelled():
            _count(call, "cancelled")
            if self._settled is not None:
                self._fault(call, ReplicaDown("The call was cancelled."))
            return
        error = task.exception()
        if error is None:
            try:
                answer = self._accept(call.replica, task.result(), call.started)
            except OmmaError as refused:
                error = refused
        if error is not None:
            _count(call, error.kind.value if isinstance(error, OmmaError) else "bug")
            self._fault(call, error)
            return
        _count(call, "ok")
        now = self._clock()
        call.replica.answered(now, None if self._pace is None else now - call.started)
        if self._pace is not None:
            self._pace.add(now - call.started)
            self.replicas.review(call.replica)
        if self._settled is not None:
            self._overtook(call, now)
            self.replica = call.replica.number
            self._end(answer=answer)

    def _fault(self, call: Call, error: BaseException) -> None:
        if not isinstance(error, OmmaError):
            logger.error("a shard failed", extra={"shard": self.replicas.shard}, exc_info=error)
        elif isinstance(error, OutOfTime):
            if call.silent and self._clock() - call.started >= self._hedge_after:
                self._mark(call)
        elif not isinstance(error, _ELSEWHERE):
            call.replica.answered(self._clock(), None)
            self._end(error=error)
            return
        if not isinstance(error, OutOfTime):
            self._mark(call)
        if self._settled is None or self._pending:
            return
        if isinstance(error, OutOfTime) or not self._fail_over():
            self._end(error=error if isinstance(error, Exception) else Bug("A shard failed."))

    def _overtook(self, winner: Call, now: float) -> None:
        for call in self._pending:
            if call.started <= winner.started and call.silent:
                if self._pace is not None:
                    call.replica.took(now - call.started)
                self._mark(call)

    def _mark(self, call: Call) -> None:
        if not call.marked:
            call.marked = True
            self._failed(call)

    def _failed(self, call: Call) -> None:
        call.replica.failed()
        self.replicas.review(call.replica)

    def _a_sibling_answered_since(self, call: Call) -> bool:
        return any(
            one.answered_at > call.started for one in self.replicas.every if one is not call.replica and not one.ejected
        )

    def _nobody(self) -> OmmaError:
        if self.replicas.every:
            return Overloaded("Every replica of the shard is busy.", retry_after_seconds=1.0)
        return ReplicaDown("The shard has no replica.")

    def _end(self, *, answer: T | None = None, error: Exception | None = None) -> None:
        settled = self._settled
        if settled is None:
            return
        self._settled = None
        self.answer, self.error = answer, error
        self.took_seconds = self._clock() - self._started
        self.look_at = math.inf
        self._cancel_pending()
        settled()

    def _cancel_pending(self) -> None:
        for call in self._pending:
            call.task.cancel()


def _count(call: Call, outcome: str) -> None:
    SHARD_CALLS.labels(call.attempt, outcome).inc()

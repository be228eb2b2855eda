"""Searches that go to one replica together: a call through Python's gRPC costs a quarter of a millisecond on each side.

A lone search leaves at once. While a few calls are under way, what arrives waits for one of them to end, and goes
together then; nobody waits for much longer than such calls take.
"""

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from omma.errors import InvalidQuery, OutOfTime, TooLarge, WrongSpace, WrongState
from omma.rpc.deadline import Deadline
from omma.rpc.errors import error_of_fault
from omma.telemetry.context import request_id
from omma.telemetry.traces import traceparent
from omma.v1 import shard_pb2

Request: TypeAlias = shard_pb2.ShardServiceSearchRequest
Response: TypeAlias = shard_pb2.ShardServiceSearchResponse
Answer: TypeAlias = "asyncio.Future[Response]"

MOST: Final = 64
"""Searches in a call."""
MOST_HITS: Final = 8_192
"""That a call asks for, of all its searches: some megabytes."""
UNDER_WAY: Final = 2
"""Calls of a kind: while the shard works on one, the other travels."""
PATIENCE_SECONDS: Final = 0.005
"""That a search waits at least before it is sent beside calls that take long; else twice what they took of late."""
_ALONE_SECONDS: Final = 10.0
"""For which a shard that answered one of several is asked for one at a time: it may be of the next version then."""
_WEIGHT: Final = 0.2


@dataclass(eq=False, slots=True)
class _Waiting:
    """request_id, traceparent: of whoever asks. context: theirs, too."""

    request: Request
    hits: int
    deadline: Deadline
    answer: Answer
    context: contextvars.Context
    request_id: str
    traceparent: str


@dataclass(eq=False, slots=True)
class _Lane:
    """Searches that take about as long as each other. seconds: that calls took of late."""

    under_way: int = 0
    waiting: deque[_Waiting] = field(default_factory=deque)
    seconds: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def took(self, seconds: float) -> None:
        self.seconds += (_WEIGHT if self.seconds else 1.0) * (seconds - self.seconds)


class Gathering:
    """Of one replica. Belongs to one event loop."""

    def __init__(
        self,
        ask: Callable[[Request, Deadline], Awaitable[Response]],
        peer: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """ask: makes a call. peer: who is asked, in words for callers."""
        self._ask = ask
        self._peer = peer
        self._clock = clock
        self._lanes: dict[Hashable, _Lane] = {}
        self._alone_until = 0.0
        self._calls: set[asyncio.Task[None]] = set()

    async def ask(self, kind: Hashable, request: Request, hits: int, deadline: Deadline) -> Response:
        """kind: of few values; a quick search never waits for a slow one of another kind. hits: that it asks for.

        Raises what the call or the shard raises; OutOfTime at the deadline.
        """
        lane = self._lanes.setdefault(kind, _Lane())
        if lane.under_way < UNDER_WAY or self._clock() < self._alone_until:
            return await self._alone(lane, request, deadline)
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        expiry = loop.call_later(deadline.require(), _expire, answer)
        context = contextvars.copy_context()
        lane.waiting.append(_Waiting(request, hits, deadline, answer, context, request_id(), traceparent()))
        if lane.timer is None:
            lane.timer = loop.call_later(max(PATIENCE_SECONDS, 2 * lane.seconds), self._send, lane)
        try:
            return await answer
        finally:
            expiry.cancel()

    async def _alone(self, lane: _Lane, request: Request, deadline: Deadline) -> Response:
        lane.under_way += 1
        started = self._clock()
        try:
            return await self._ask(request, deadline)
        finally:
            self._ended(lane, started)

    def _ended(self, lane: _Lane, started: float) -> None:
        lane.took(self._clock() - started)
        lane.under_way -= 1
        if lane.waiting and lane.under_way < UNDER_WAY:
            self._send(lane)

    def _send(self, lane: _Lane) -> None:
        """What waits, in one call; what is too much for one follows when it ends, or when the next ones tire."""
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        batch: list[_Waiting] = []
        hits = 0
        while lane.waiting and len(batch) < MOST and (not batch or hits + lane.waiting[0].hits <= MOST_HITS):
            one = lane.waiting.popleft()
            if not one.answer.done():
                batch.append(one)
                hits += one.hits
        loop = asyncio.get_running_loop()
        if lane.waiting:
            lane.timer = loop.call_later(max(PATIENCE_SECONDS, 2 * lane.seconds), self._send, lane)
        if not batch:
            return
        lane.under_way += 1
        call = loop.create_task(self._call(lane, batch), context=batch[0].context)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        left = len(batch)

        def answered(_: Answer) -> None:
            nonlocal left
            left -= 1
            if not left:
                call.cancel()  # nobody waits any more; nothing where it has ended

        for one in batch:
            one.answer.add_done_callback(answered)

    async def _call(self, lane: _Lane, batch: Sequence[_Waiting]) -> None:
        started = self._clock()
        try:
            outcomes = await self._outcomes(batch)
        finally:
            self._ended(lane, started)
        for one, outcome in zip(batch, outcomes, strict=True):
            if one.answer.done():
                continue
            if isinstance(outcome, Exception):
                one.answer.set_exception(outcome)
            else:
                one.answer.set_result(outcome)

    async def _outcomes(self, batch: Sequence[_Waiting]) -> Sequence[Response | Exception]:
        """An answer or a fault for each, in order."""
        first, *others = batch
        if not others:
            return [await self._outcome(first)]
        latest = max((one.deadline for one in batch), key=Deadline.remaining_seconds)
        try:
            answer = await self._ask(_joined(batch), latest)
        except (InvalidQuery, WrongSpace, WrongState) as error:  # of the first, from a shard that looks at it alone
            return [error, *await self._one_by_one(others)]
        except TooLarge:
            return await self._one_by_one(batch)
        except Exception as error:  # noqa: BLE001  the call's, so every one's
            return [error] * len(batch)
        if len(answer.others) < len(others):
            self._alone_until = self._clock() + _ALONE_SECONDS
            return [answer, *await self._one_by_one(others)]
        return [
            error_of_fault(one.fault, self._peer) if one.HasField("fault") else one for one in (answer, *answer.others)
        ]

    async def _one_by_one(self, batch: Sequence[_Waiting]) -> list[Response | Exception]:
        return list(await asyncio.gather(*map(self._outcome, batch)))

    async def _outcome(self, one: _Waiting) -> Response | Exception:
        try:
            return await self._ask(one.request, one.deadline)
        except Exception as error:  # noqa: BLE001  its asker's
            return error


def _joined(batch: Sequence[_Waiting]) -> Request:
    first, *others = batch
    joined = Request()
    joined.CopyFrom(first.request)
    joined.timeout_ms = _left_ms(first)
    for one in others:
        one.request.timeout_ms = _left_ms(one)
        one.request.request_id, one.request.traceparent = one.request_id, one.traceparent
    joined.others.extend([one.request for one in others])
    return joined


def _left_ms(one: _Waiting) -> int:
    return max(1, int(one.deadline.remaining_seconds() * 1000))


def _expire(answer: Answer) -> None:
    if not answer.done():
        answer.set_exception(OutOfTime("A shard did not answer in time."))

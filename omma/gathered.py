"""Work that comes while such work is under way goes together in the next turn: what costs by the turn is paid once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from omma.errors import InvalidQuery, NotAllowed, TooLarge

Kind = TypeVar("Kind", bound=Hashable)
Given = TypeVar("Given")
Answer = TypeVar("Answer")

_ITS_OWN: Final = (InvalidQuery, NotAllowed, TooLarge)
"""Faults of one that is given, which no other one answers for."""


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Given, Answer]):
    given: Given
    key: Hashable
    answer: asyncio.Future[Answer]


class Gathered(Generic[Kind, Given, Answer]):
    """One turn of a kind at a time; a lone one starts at once. Belongs to one event loop.

    Who is cancelled before its turn is left out of it; a turn that began goes on. How many wait is the callers' to
    bound.
    """

    def __init__(self, run: Callable[[Kind, Sequence[Given]], Awaitable[Sequence[Answer]]], *, most: int) -> None:
        """run: an answer for each of at most `most`, in order. What it raises everyone raises; a fault of one of them
        (InvalidQuery, NotAllowed, TooLarge) only who has it: each is run alone then, so such a run has changed nothing.
        """
        self._run = run
        self._most = most
        self._lanes: dict[Kind, deque[_Waiting[Given, Answer]]] = {}
        self._turns: set[asyncio.Task[None]] = set()

    async def ask(self, kind: Kind, given: Given, key: Hashable = None) -> Answer:
        """key: of those with equal ones each has a turn of its own, in the order in which they came; None: it equals
        none.
        """
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Given, Answer] = _Waiting(given, key, loop.create_future())
        lane = self._lanes.get(kind)
        if lane is None:
            lane = self._lanes[kind] = deque()
            turns = loop.create_task(self._take_turns(kind, lane))
            self._turns.add(turns)
            turns.add_done_callback(self._turns.discard)
        lane.append(waiting)
        return await waiting.answer

    async def _take_turns(self, kind: Kind, lane: deque[_Waiting[Given, Answer]]) -> None:
        try:
            while turn := self._next(lane):
                await self._take(kind, turn)
        finally:
            del self._lanes[kind]
            for one in lane:
                one.answer.cancel()

    def _next(self, lane: deque[_Waiting[Given, Answer]]) -> list[_Waiting[Given, Answer]]:
        turn: list[_Waiting[Given, Answer]] = []
        later: list[_Waiting[Given, Answer]] = []
        keys: set[Hashable] = set()
        while lane and len(turn) < self._most:
            one = lane.popleft()
            if one.answer.done():
                continue
            if one.key is None or one.key not in keys:
                keys.add(one.key)
                turn.append(one)
            else:
                later.append(one)
        lane.extendleft(reversed(later))
        return turn

    async def _take(self, kind: Kind, turn: Sequence[_Waiting[Given, Answer]]) -> None:
        try:
            answers = await self._run(kind, [one.given for one in turn])
        except _ITS_OWN as error:
            if len(turn) > 1:
                for one in turn:
                    await self._take(kind, [one])
                return
            _fail(turn, error)
        except Exception as error:  # noqa: BLE001  the callers' to handle
            _fail(turn, error)
        except BaseException:
            for one in turn:
                one.answer.cancel()
            raise
        else:
            for one, answer in zip(turn, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)


def _fail(turn: Sequence[_Waiting[Given, Answer]], error: Exception) -> None:
    for one in turn:
        if not one.answer.done():
            one.answer.set_exception(error)

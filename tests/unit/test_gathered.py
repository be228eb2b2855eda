"""What comes while a turn is under way goes together in the next one, and one's fault stays its own."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from omma.errors import InvalidQuery, ReplicaDown
from omma.gathered import Gathered


class Turns:
    """Doubles what it is given, a turn at a time, each held until it is let go."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, list[int]]] = []
        self.let_go = asyncio.Event()
        self.fault: Callable[[Sequence[int]], Exception | None] = lambda given: None

    async def __call__(self, kind: str, given: Sequence[int]) -> list[int]:
        self.seen.append((kind, list(given)))
        await self.let_go.wait()
        if (fault := self.fault(given)) is not None:
            raise fault
        return [2 * one for one in given]


async def _asked(gathered: Gathered[str, int, int], *given: int, key: object = None) -> list["asyncio.Task[int]"]:
    tasks = [asyncio.create_task(gathered.ask("a", one, key)) for one in given]
    await asyncio.sleep(0.01)
    return tasks


async def test_a_lone_one_starts_at_once_and_what_comes_meanwhile_goes_together() -> None:
    turns = Turns()
    gathered: Gathered[str, int, int] = Gathered(turns, most=3)
    tasks = [*await _asked(gathered, 1), *await _asked(gathered, 2, 3, 4, 5)]
    other = asyncio.create_task(gathered.ask("b", 9))
    await asyncio.sleep(0.01)
    assert turns.seen == [("a", [1]), ("b", [9])], "another kind waits for nobody"
    turns.let_go.set()
    assert await asyncio.gather(*tasks, other) == [2, 4, 6, 8, 10, 18]
    assert turns.seen[2:] == [("a", [2, 3, 4]), ("a", [5])]
    assert await gathered.ask("a", 6) == 12, "the lane is gone, and comes back"


async def test_equal_keys_take_turns_in_their_order() -> None:
    turns = Turns()
    gathered: Gathered[str, int, int] = Gathered(turns, most=64)
    tasks = [*await _asked(gathered, 1), *await _asked(gathered, 2, 3, key="same"), *await _asked(gathered, 4)]
    turns.let_go.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert turns.seen == [("a", [1]), ("a", [2, 4]), ("a", [3])]


async def test_ones_own_fault_is_nobody_elses() -> None:
    turns = Turns()
    gathered: Gathered[str, int, int] = Gathered(turns, most=64)
    turns.fault = lambda given: InvalidQuery("no threes", field="three") if 3 in given else None
    tasks = [*await _asked(gathered, 1), *await _asked(gathered, 2, 3, 4)]
    turns.let_go.set()
    first, second, third, fourth = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second, fourth) == (2, 4, 8)
    assert isinstance(third, InvalidQuery) and third.field == "three"


async def test_what_is_nobodys_own_fault_is_everyones_and_asked_once() -> None:
    turns = Turns()
    gathered: Gathered[str, int, int] = Gathered(turns, most=64)
    turns.fault = lambda given: ReplicaDown("away")
    tasks = [*await _asked(gathered, 1), *await _asked(gathered, 2, 3)]
    turns.let_go.set()
    assert all(isinstance(one, ReplicaDown) for one in await asyncio.gather(*tasks, return_exceptions=True))
    assert turns.seen == [("a", [1]), ("a", [2, 3])]


async def test_who_is_cancelled_before_its_turn_is_left_out_and_a_turn_that_began_goes_on() -> None:
    turns = Turns()
    gathered: Gathered[str, int, int] = Gathered(turns, most=64)
    (first,) = await _asked(gathered, 1)
    second, third = await _asked(gathered, 2, 3)
    first.cancel()
    second.cancel()
    turns.let_go.set()
    assert await third == 6
    assert turns.seen == [("a", [1]), ("a", [3])]
    with pytest.raises(asyncio.CancelledError):
        await first

"""A host that fails is left alone for a while, tried once, and given up."""

import asyncio

import pytest

from omma.fetching import Unfetched, Why
from services.worker.lists.hosts import GivenUp, Host
from services.worker.lists.settings import UrlSettings

SETTINGS = UrlSettings(by_host=2, host_failures=3, host_rest_seconds=5, host_rests=2)


class World:
    """A clock that only sleep moves, and a host that answers as it is told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.asked: list[float] = []
        self.failing: Unfetched | None = Unfetched(Why.UNREACHABLE, "")
        self.at_once = self.most = 0
        self.host = Host(SETTINGS, lambda: self.seconds, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)

    async def attempt(self) -> str:
        self.asked.append(self.seconds)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.failing is not None:
            raise self.failing
        return "picture"

    async def ask(self, times: int) -> list[object]:
        return await asyncio.gather(*[self.host.ask(self.attempt) for _ in range(times)], return_exceptions=True)


async def test_after_failures_in_a_row_it_rests_longer_each_time_and_is_given_up() -> None:
    world = World()
    outcomes = await world.ask(40)
    # Three, and one that was under way by then; then one try after 5 s, one after 10 s more, and no other.
    assert world.asked[-2:] == [5.0, 15.0] and set(world.asked[:-2]) == {0.0} and len(world.asked) <= 6
    assert sum(isinstance(one, GivenUp) for one in outcomes) == 40 - len(world.asked)
    assert world.most <= SETTINGS.by_host
    with pytest.raises(GivenUp):
        await world.host.ask(world.attempt)


async def test_one_answer_makes_all_well_again() -> None:
    world = World()
    await world.ask(3)
    world.failing = None
    assert await world.ask(10) == ["picture"] * 10
    assert world.seconds == 5.0


async def test_a_picture_that_is_not_there_is_no_fault_of_the_host() -> None:
    world = World()
    world.failing = Unfetched(Why.STATUS, "", status=404)
    outcomes = await world.ask(20)
    assert len(world.asked) == 20 and not any(isinstance(one, GivenUp) for one in outcomes)

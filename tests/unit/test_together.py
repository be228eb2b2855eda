"""Work side by side: it ends together, and its error is its own."""

import asyncio

import pytest

from omma.errors import InvalidQuery, OutOfTime
from omma.rpc.deadline import Deadline
from omma.together import together


async def number(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def test_answers_come_in_order() -> None:
    assert await together(number(value) for value in range(5)) == [0, 1, 2, 3, 4]
    assert await together([]) == []


async def test_one_that_fails_ends_the_others() -> None:
    ended = asyncio.Event()

    async def hangs() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    async def fails(field: str) -> int:
        await asyncio.sleep(0)
        raise InvalidQuery("wrong", field=field)

    with pytest.raises(InvalidQuery) as failure:
        await together([hangs(), fails("first"), fails("second")])
    assert failure.value.field == "first"
    assert ended.is_set()


async def test_a_deadline_ends_what_knows_of_none() -> None:
    with pytest.raises(OutOfTime, match="Reading did not end"):
        async with Deadline.after(0.01).ends("Reading"):
            await asyncio.Event().wait()
    with pytest.raises(OutOfTime):
        async with Deadline.after(-1).ends("Reading"):
            raise AssertionError("it began")


async def test_another_s_time_out_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline.after(60).ends("Reading"):
            raise TimeoutError

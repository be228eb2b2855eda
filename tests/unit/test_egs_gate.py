"""So many at a time; a search overtakes ingest, and a place is never lost."""

import asyncio

import pytest

from omma.errors import OutOfTime
from omma.rpc.deadline import Deadline
from services.egs.triton.gate import Gate


async def test_the_earliest_deadline_goes_first() -> None:
    gate = Gate(1)
    order: list[int] = []

    async def one(seconds: int) -> None:
        async with gate.entered(Deadline.after(seconds)):
            order.append(seconds)

    async with gate.entered(Deadline.after(60)):
        tasks = [asyncio.create_task(one(seconds)) for seconds in (50, 20, 90)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*tasks)
    assert order == [20, 50, 90]


async def test_no_more_are_inside_than_there_are_places() -> None:
    gate = Gate(3)
    inside = peak = 0

    async def one() -> None:
        nonlocal inside, peak
        async with gate.entered(Deadline.after(60)):
            inside += 1
            peak = max(peak, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*[one() for _ in range(50)])
    assert (peak, inside) == (3, 0)


async def test_who_gives_up_or_runs_out_of_time_takes_no_place() -> None:
    gate = Gate(1)
    async with gate.entered(Deadline.after(60)):
        with pytest.raises(OutOfTime):
            async with gate.entered(Deadline.after(0.01)):
                pytest.fail("there was no place")
        waiting = asyncio.create_task(gate.entered(Deadline.after(60)).__aenter__())
        late = asyncio.create_task(gate.entered(Deadline.after(60)).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
    late.cancel()  # its turn has come already
    for task in (waiting, late):
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5), gate.entered(Deadline.after(5)):
        pass

"""Too much at once: a bounded queue, a bounded wait, a bound on bodies, and nothing kept by those who have gone."""

import asyncio
from typing import Any

import pytest

from omma.errors import Overloaded
from services.gateway.rest.body_budget import BodyBudget
from services.gateway.search.admission import Admission


class Searches:
    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.done = asyncio.Event()
        self.begun: list[int] = []

    async def one(self, number: int) -> None:
        async with self.admission.admitted():
            self.begun.append(number)
            await self.done.wait()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_first_come_first_served_and_one_too_many_is_refused() -> None:
    searches = Searches(Admission(max_running=2, max_waiting=2, max_wait_seconds=30))
    tasks = [asyncio.create_task(searches.one(number)) for number in range(5)]
    await turns()
    assert searches.begun == [0, 1]
    with pytest.raises(Overloaded) as refused:
        await tasks[4]
    assert refused.value.retry_after_seconds == 1.0
    searches.done.set()
    await asyncio.gather(*tasks[:4])
    assert searches.begun == [0, 1, 2, 3]


async def test_who_waits_too_long_is_refused() -> None:
    searches = Searches(Admission(max_running=1, max_waiting=9, max_wait_seconds=0.01))
    first = asyncio.create_task(searches.one(0))
    await turns()
    with pytest.raises(Overloaded):
        await searches.one(1)
    searches.done.set()
    await first
    await searches.one(2)
    assert searches.begun == [0, 2]


@pytest.mark.parametrize("leaves", ["running", "waiting", "both at once"])
async def test_who_leaves_makes_room(leaves: str) -> None:
    searches = Searches(Admission(max_running=1, max_waiting=2, max_wait_seconds=30))
    tasks = [asyncio.create_task(searches.one(number)) for number in range(3)]
    await turns()
    for number in {"running": [0], "waiting": [1], "both at once": [0, 1]}[leaves]:
        tasks[number].cancel()
    await turns()
    searches.done.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert searches.begun[-1] == 2
    await searches.one(7)
    assert searches.begun[-1] == 7


async def test_bodies_share_a_bound_and_give_it_back() -> None:
    done = asyncio.Event()
    served: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope["path"])
        await done.wait()

    budget = BodyBudget(app, max_bytes=100, largest_bytes=60)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def request(path: str, *headers: tuple[bytes, bytes]) -> None:
        await budget({"type": "http", "path": path, "headers": list(headers)}, None, send)  # type: ignore[arg-type]

    first = asyncio.create_task(request("/1", (b"content-length", b"50")))
    await turns()
    await asyncio.wait_for(request("/2", (b"transfer-encoding", b"chunked")), 5)
    assert sent[0]["status"] == 429
    assert (b"retry-after", b"1") in sent[0]["headers"]
    third = asyncio.create_task(request("/3", (b"content-length", b"50")))
    fourth = asyncio.create_task(request("/4"))
    await turns()
    assert served == ["/1", "/3", "/4"]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    fifth = asyncio.create_task(request("/5", (b"content-length", b"50")))
    await turns()
    done.set()
    await asyncio.gather(third, fourth, fifth)
    assert served == ["/1", "/3", "/4", "/5"]

"""What every catalog keeps of impressions and clicks."""

import asyncio

from omma.catalog.interface import Catalog
from omma.catalog.schema.people import DAY_MS
from omma.identity import ImageId, Tenant
from omma.records import Answered, InteractionType
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB, Backend
from tests.contract.interactions import shown


async def ids(catalog: Catalog, since_ms: int = 0, until_ms: int = 2**62, tenant: Tenant = ANN) -> list[int]:
    return [one.displayed[0] async for one in catalog.interactions(tenant, since_ms, until_ms)]


async def test_interactions_are_read_back_as_they_were_in_the_order_of_time(catalog: Catalog, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    batch = [
        shown(0, now + 2, user_id="ünï\t\n\\N", query_image_id=2**63 - 1, rank=2**31 - 1),
        shown(
            1, now, type=InteractionType.CLICK, query_id="", answered=Answered("s.1", "s", "default", "r1", "candidate")
        ),
        shown(2, now - DAY_MS, displayed=(ImageId(3), ImageId(9), ImageId(2**62))),
    ]
    assert await catalog.add_interactions("log", batch) == 3
    assert [one async for one in catalog.interactions(ANN, 0, 2**62)] == [
        batch[2].interaction,
        batch[1].interaction,
        batch[0].interaction,
    ]
    assert await ids(catalog, now, now + 2) == [2]
    assert await ids(catalog, tenant=BOB) == []


async def test_a_batch_that_comes_twice_is_there_once(backend: Backend, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    catalog = await backend.open()
    batch = [shown(i, now, partition=i % 2) for i in range(6)]
    assert await catalog.add_interactions("log", batch[:4]) == 4
    other = await backend.open()
    assert await other.add_interactions("log", batch) == 2
    assert await catalog.add_interactions("log", batch) == 0
    assert await catalog.add_interactions("log", []) == 0
    assert await ids(catalog) == [1, 2, 3, 4, 5, 6]
    assert await catalog.add_interactions("another log", batch[:1]) == 1


async def test_two_consumers_of_one_partition_add_each_interaction_once(backend: Backend, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    catalogs = [await backend.open() for _ in range(3)]
    batches = [[shown(i, now) for i in range(first, first + 40)] for first in (0, 20, 40)]
    for batch in batches:
        await asyncio.gather(*(catalog.add_interactions("log", batch) for catalog in catalogs))
    assert await ids(catalogs[0]) == list(range(1, 81))


async def test_whoever_writes_first_on_a_new_day_finds_it_made_by_another(backend: Backend, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    catalogs = [await backend.open() for _ in range(4)]
    for day in range(5):
        batch = [shown(day, now - day * DAY_MS)]
        calls = [catalog.add_interactions(f"log {number}", batch) for number, catalog in enumerate(catalogs)]
        assert await asyncio.gather(*calls) == [1] * len(calls)


async def test_interactions_come_in_pages_and_none_is_lost_between_two(catalog: Catalog, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    await catalog.add_interactions("log", [shown(i, now + i // 800) for i in range(2_401)])
    assert await ids(catalog) == list(range(1, 2_402))


async def test_days_of_interactions_are_dropped_whole(catalog: Catalog, clock: Clock) -> None:
    clock.seconds = 1_700_000_000 // 86_400 * 86_400 + 3_600
    now = int(clock.seconds * 1000)
    days = [0, 1, 2, 3, 200]
    await catalog.add_interactions("log", [shown(i, now - day * DAY_MS) for i, day in enumerate(days)])
    await catalog.roll_interactions(2)
    assert await ids(catalog) == [3, 2, 1]
    clock.seconds += 86_400
    await catalog.roll_interactions(2)
    await catalog.roll_interactions(2)
    assert await ids(catalog) == [2, 1]
    assert await catalog.add_interactions("log", [shown(9, now + 86_400_000)]) == 1

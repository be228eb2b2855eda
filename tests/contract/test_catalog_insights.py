"""How searches fare, on every backend, against the same counted one by one."""

from statistics import median

from omma.catalog.insight import Insight
from omma.catalog.interface import Catalog
from omma.catalog.logged_interaction import LoggedInteraction
from omma.catalog.schema.people import DAY_MS
from omma.identity import ImageId
from omma.records import Answered, Interaction, InteractionType
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB


def impression(query_id: str, ts_ms: int, *shown: int, index: str = "i", tenant: str = ANN) -> Interaction:
    ids, rank = tuple(map(ImageId, shown)), int(bool(shown))
    return Interaction(
        ANN if tenant == ANN else BOB,
        "u",
        0,
        ids,
        rank,
        InteractionType.IMPRESSION,
        ts_ms,
        query_id,
        Answered(index, "s", "p"),
    )


def click(query_id: str, ts_ms: int) -> Interaction:
    return Interaction(ANN, "u", 0, (ImageId(1),), 0, InteractionType.CLICK, ts_ms, query_id)


async def kept(catalog: Catalog, *every: Interaction) -> None:
    await catalog.roll_interactions(3_650)
    await catalog.add_interactions("log", [LoggedInteraction(0, at, one) for at, one in enumerate(every)])


async def test_searches_clicks_and_times_are_counted_by_day_and_index(catalog: Catalog, clock: Clock) -> None:
    today = int(clock.seconds * 1000) // DAY_MS
    noon = today * DAY_MS + DAY_MS // 2
    waits = [1_500, 4_000, 500, 60_000]
    searches = [impression(f"a{n}", noon + n, 1, 2) for n in range(6)]
    clicks = [click(f"a{n}", noon + n + wait) for n, wait in enumerate(waits)]
    late = [impression("night", (today + 1) * DAY_MS - 1, 3, index="j"), click("night", (today + 1) * DAY_MS + 9)]
    await kept(
        catalog,
        *searches,
        *clicks,
        click("a0", noon + 90_000),  # a second one, which is not the first
        click("", noon),
        click("unknown", noon),
        impression("none", noon),
        impression("bob's", noon, 1, tenant=BOB),
        impression("before", noon - DAY_MS, 1),
        *late,
    )
    assert await catalog.insights(ANN, today - 1, today) == [
        Insight(today, "i", 7, 1, 4, median(waits)),
        Insight(today, "j", 1, 0, 1, 10.0),
        Insight(today - 1, "i", 1, 0, 0, None),
    ]
    assert await catalog.insights(ANN, today - 1, today - 1) == [Insight(today - 1, "i", 1, 0, 0, None)]
    assert await catalog.insights(BOB, today, today) == [Insight(today, "i", 1, 0, 0, None)]
    odd = waits[:3]
    await catalog.forget_interactions(ANN, [])
    assert median(odd) == 1_500


async def test_a_search_that_found_nothing_comes_back_as_it_was(catalog: Catalog, clock: Clock) -> None:
    one = impression("none", int(clock.seconds * 1000))
    await kept(catalog, one)
    assert [found async for found in catalog.interactions(ANN, 0, 2**53)] == [one]

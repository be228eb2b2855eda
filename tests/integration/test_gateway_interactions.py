"""Impressions and clicks on the embedded log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from omma.errors import InvalidQuery, Overloaded
from omma.hits import Payload
from omma.identity import Tenant
from omma.log.interface import Log, Producer
from omma.log.sqlite import SqliteLog
from omma.records import (
    INTERACTIONS_TOPIC,
    Answered,
    Interaction,
    InteractionType,
    decode_interaction,
    encode_interaction,
)
from services.gateway.search.answer import SearchAnswer, SearchHit
from services.gateway.search.fanout import Coverage
from services.gateway.search.interactions import Click, Impressions, open_impressions
from tests.hung_producer import HungProducer

ANN = Tenant("ann")


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    log = await SqliteLog.open(tmp_path / "log.db")
    yield log
    await log.close()


async def test_clicks_are_kept_while_the_log_hangs_and_follow(log: Log) -> None:
    await open_impressions(log)
    producer = HungProducer(await log.producer())
    impressions = Impressions(cast(Producer, producer), 4, max_queued=3, linger_seconds=0)
    async with asyncio.timeout(5):
        for number in range(1, 4):
            await impressions.clicked(ANN, Click("u", 0, number, 1))
    assert producer.asked == 1
    with pytest.raises(Overloaded):
        await impressions.clicked(ANN, Click("u", 0, 4, 1))
    producer.hangs = False
    running = asyncio.create_task(impressions.run())
    found: list[int] = []
    async with asyncio.timeout(10):
        while len(found) < 3:
            scanned = log.scan(INTERACTIONS_TOPIC)
            found = [decode_interaction(record.value or b"").displayed[0] async for record in scanned]
            await asyncio.sleep(0.01)
    running.cancel()
    assert sorted(found) == [1, 2, 3]


def answer_of(ids: Sequence[int]) -> SearchAnswer:
    hits = tuple(SearchHit(id, 0.5, Payload(), None, None, ()) for id in ids)
    return SearchAnswer(hits, "q1", "s", "i", "default", Coverage(1.0, 1, 1), (), 1.0)


async def interactions(log: Log) -> list[Interaction]:
    found = [decode_interaction(record.value or b"") async for record in log.scan(INTERACTIONS_TOPIC)]
    return sorted(found, key=lambda one: (one.type, one.rank))


async def test_impressions_and_clicks_reach_the_log(log: Log) -> None:
    impressions = await open_impressions(log)
    running = asyncio.create_task(impressions.run())
    impressions.shown(ANN, "u", 7, answer_of([3, 1]), caller="user u", stage=5)
    await impressions.clicked(ANN, Click("u", 7, 1, 2, "q1"))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    click, shown = await interactions(log)
    assert (click.type, click.displayed, click.rank, click.query_id) == (InteractionType.CLICK, (1,), 2, "q1")
    assert (shown.displayed, shown.rank, shown.query_image_id) == ((3, 1), 1, 7)
    assert shown.answered == Answered("i", "s", "default")
    assert (shown.caller, shown.stage) == ("user u", 5)
    assert [decode_interaction(encode_interaction(one)) for one in (click, shown)] == [click, shown]


class Counting:
    """A producer that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send_many(self, topic: str, records: Sequence[Any]) -> None:
        self.sent += records


async def test_a_click_never_overtakes_what_it_is_of() -> None:
    producer = Counting()
    impressions = Impressions(producer, 4, linger_seconds=60)  # type: ignore[arg-type]  # only send_many is called
    running = asyncio.create_task(impressions.run())
    impressions.shown(ANN, "u", 0, answer_of([1, 2]))
    await impressions.clicked(ANN, Click("u", 0, 2, 2, "q1"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    sent = [decode_interaction(value).type for _, _, value in producer.sent]
    assert sent == [InteractionType.IMPRESSION, InteractionType.CLICK]


async def test_what_does_not_fit_the_queue_is_lost_not_waited_for() -> None:
    producer = Counting()
    impressions = Impressions(producer, 4, max_queued=5)  # type: ignore[arg-type]  # only send_many is called
    for number in range(1, 9):
        impressions.shown(ANN, "u", 0, answer_of([number, number + 1]))
    running = asyncio.create_task(impressions.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(producer.sent) == 5
    unsampled = Impressions(producer, 4, sampled=0.0)  # type: ignore[arg-type]
    unsampled.shown(ANN, "u", 0, answer_of([1]))
    assert len(producer.sent) == 5


@pytest.mark.parametrize(
    "bad",
    [{"displayed_image_id": 0}, {"query_image_id": -1}, {"rank": -1}, {"user_id": "u" * 300}, {"query_id": "q\x001"}],
)
def test_a_click_is_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery) as failure:
        Click(**{"user_id": "u", "query_image_id": 0, "displayed_image_id": 1, "rank": 1, **bad})
    assert failure.value.field == next(iter(bad))

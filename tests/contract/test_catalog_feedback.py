"""What every catalog keeps of what people say."""

import pytest

from omma.catalog.feedback import Feedback, FeedbackAction
from omma.catalog.interface import Catalog
from omma.errors import Absent
from omma.identity import ImageId
from omma.records import InteractionType
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB, new, one
from tests.contract.interactions import shown


async def test_each_word_is_kept_and_read_back_the_newest_first(catalog: Catalog, clock: Clock) -> None:
    lamp, chair = [(await one(catalog, new(name))).id for name in ("lamp", "chair")]
    first = Feedback(lamp, FeedbackAction.RELEVANT, "schön", "q1", chair, "ann's key")
    await catalog.add_feedback(ANN, first)
    clock.seconds += 1
    await catalog.add_feedback(ANN, Feedback(lamp, FeedbackAction.IRRELEVANT))
    await catalog.add_feedback(ANN, Feedback(chair, FeedbackAction.REVIEWED))
    every = await catalog.feedback(ANN, 10)
    assert [(said.image_id, said.action) for said in every] == [
        (chair, FeedbackAction.REVIEWED),
        (lamp, FeedbackAction.IRRELEVANT),
        (lamp, FeedbackAction.RELEVANT),
    ]
    last = every[-1]
    assert (last.note, last.query_id, last.query_image_id, last.given_by) == ("schön", "q1", chair, "ann's key")
    assert every[0].at_ms - last.at_ms == 1_000
    assert await catalog.feedback(ANN, 1, image_id=lamp) == every[1:2]
    assert await catalog.feedback(ANN, 10, before=every[0].id) == every[1:]
    assert await catalog.feedback(BOB, 10) == []


async def test_nothing_is_said_of_a_picture_that_is_not_there(catalog: Catalog) -> None:
    lamp = (await one(catalog, new("lamp"))).id
    for tenant, image_id in ((BOB, lamp), (ANN, ImageId(lamp + 1))):
        with pytest.raises(Absent):
            await catalog.add_feedback(tenant, Feedback(image_id, FeedbackAction.RELEVANT))
    await catalog.delete(ANN, [lamp])
    with pytest.raises(Absent):
        await catalog.add_feedback(ANN, Feedback(lamp, FeedbackAction.RELEVANT))
    assert await catalog.feedback(ANN, 10) == []


async def test_what_a_search_sought_is_known_by_its_impression(catalog: Catalog, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    click = InteractionType.CLICK
    batch = [
        shown(0, now, query_id="a", query_image_id=5),
        shown(1, now, query_id="b", query_image_id=0),
        shown(2, now, query_id="c", query_image_id=6),
        shown(3, now, query_id="d", query_image_id=7, type=click),
        shown(4, now - 10, query_id="e", query_image_id=8),
    ]
    await catalog.add_interactions("log", batch)
    assert await catalog.sought_pictures(ANN, list("abde"), now, now + 1) == {"a": 5}
    assert await catalog.sought_pictures(BOB, ["a"], now, now + 1) == {}

"""The topic of events, on every log: made anew, and found as an older version made it."""

import pytest

from omma.log.interface import TopicSpec
from omma.outbox import ensure_images_topic
from omma.records import IMAGES_TOPIC
from tests.contract.logs import PLENTY, LogBackend
from tests.waiting import eventually


@pytest.mark.parametrize("found", [True, False], ids=["found", "made"])
async def test_it_keeps_the_last_event_of_each_picture(log_backend: LogBackend, found: bool) -> None:
    log = await log_backend.open()
    if found:
        await log.ensure_topic(TopicSpec(IMAGES_TOPIC, 3))
    spec = await ensure_images_topic(log, 2)
    assert (spec.partitions, spec.compacted) == (3 if found else 2, True)

    async def is_compacted() -> bool:
        return [(one.partitions, one.compacted) for one in await log.topics()] == [(spec.partitions, True)]

    await eventually(is_compacted, 3 * PLENTY)
    assert await ensure_images_topic(log, 8) == spec

"""Kafka's topics while others make and delete them."""

import asyncio
from collections.abc import Sequence

import pytest

from deploy.parts import Kafka
from omma.errors import Absent
from omma.log.interface import TopicSpec
from omma.log.kafka.metadata import ClusterMetadata
from omma.log.kafka.topics import Topics
from tests.contract.logs import kafka_backend


async def test_a_topic_that_goes_while_all_are_told_is_left_out_and_stops_no_other(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = kafka_backend(kafka)
    log = await backend.open()
    for name in ("going", "stays"):
        await log.ensure_topic(TopicSpec(name, 1))
    known = Topics.metadata

    async def and_then_it_goes(self: Topics, names: Sequence[str] | None = None) -> ClusterMetadata:
        told = await known(self, names)
        if names is None:
            await self.delete("going")
            async with asyncio.timeout(20):
                while (await known(self, ["going"])).topics:  # noqa: ASYNC110  the broker has no other way to say so
                    await asyncio.sleep(0.05)
        return told

    monkeypatch.setattr(Topics, "metadata", and_then_it_goes)
    assert [spec.name for spec in await log.topics()] == ["stays"]
    monkeypatch.undo()
    with pytest.raises(Absent):
        await log.identity("going")
    await backend.close()

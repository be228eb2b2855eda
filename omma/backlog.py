"""How far a consumer group is behind, told by the log alone: true for an indexer in any process."""

import asyncio
from collections.abc import Mapping

from omma.log.interface import Log


def indexer_group(space: str) -> str:
    """The consumer group on `omma.images` of a space's indexers: a stalled candidate never holds back the live one."""
    return f"indexer.{space}"


async def goes_on_at(log: Log, topic: str, group: str) -> dict[int, int]:
    """Where the group reads on, by partition: what it committed, or where the topic begins if that is later."""
    committed = await log.committed(group, topic)
    beginnings = await log.beginning_offsets(topic)
    return {partition: max(first, committed.get(partition, 0)) for partition, first in beginnings.items()}


async def backlog(log: Log, topic: str, group: str) -> int:
    """Events in the topic that the group has not committed."""
    ends = await log.end_offsets(topic)
    return _behind(ends, await goes_on_at(log, topic, group))


async def wait_until_handled(log: Log, topic: str, group: str, every_seconds: float = 0.1) -> None:
    """Return when the group has committed everything that the topic holds at the time of the call."""
    ends = await log.end_offsets(topic)
    while _behind(ends, await goes_on_at(log, topic, group)):  # noqa: ASYNC110  the indexer may be elsewhere
        await asyncio.sleep(every_seconds)


def _behind(ends: Mapping[int, int], reached: Mapping[int, int]) -> int:
    return sum(max(0, end - reached[partition]) for partition, end in ends.items())

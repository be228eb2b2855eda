"""A topic whose superseded records are to leave the brokers' disks soon: two of its settings, changed for a while.

A broker closes a partition's newest file, which its cleaner leaves alone, when something is written to it later than
`max.compaction.lag.ms` after its first record; then the cleaner has to take what is older than that.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.protocol.admin import DescribeConfigsRequest

from omma.log.interface import Purge
from omma.log.kafka.altering import TOPIC_RESOURCE, alter, require
from omma.log.kafka.connection import Connection

_SOON: Final = {"max.compaction.lag.ms": "1000", "file.delete.delay.ms": "1000"}
"""A file that the cleaner replaced stays for the second one, a minute by default."""


@asynccontextmanager
async def purging(connection: Connection, full_name: str) -> AsyncIterator[Purge]:
    """See omma.log.interface.Log.purging. full_name: as Kafka has it.

    Who breaks off in between leaves the topic so; the next one to purge it brings it back to what it was by default.
    Raises NotAllowed where we may not change topics, ReplicaDown.
    """
    before = await _own_settings(connection, full_name)

    async def purge() -> None:
        # Each time: whoever else purged it may just have brought it back.
        await alter(connection, full_name, _SOON)

    await purge()
    try:
        yield purge
    finally:
        restored = {name: None if before.get(name) == soon else before.get(name) for name, soon in _SOON.items()}
        await alter(connection, full_name, restored)


async def _own_settings(connection: Connection, full_name: str) -> dict[str, str]:
    """What somebody set for this topic alone."""
    request = DescribeConfigsRequest([(TOPIC_RESOURCE, full_name, list(_SOON))], False)
    (answer,) = (await connection.ask(request)).resources
    require(answer[0], answer[1])
    return {name: value for name, value, _, is_default, *_ in answer[4] if not is_default}

"""A topic whose superseded records are to leave the brokers' disks soon: two of its settings, changed for a while.

A broker closes a partition's newest file, which its cleaner leaves alone, when something is written to it later than
`max.compaction.lag.ms` after its first record; then the cleaner has to take what is older than that.
IncrementalAlterConfigs v0, KIP-339: https://kafka.apache.org/protocol.html#The_Messages_IncrementalAlterConfigs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from omma.log.interface import Purge
from omma.log.kafka.connection import Connection
from omma.log.kafka.errors import translated

_TOPIC_RESOURCE: Final = 2
_SET: Final = 0
_DELETE: Final = 1
_SOON: Final = {"max.compaction.lag.ms": "1000", "file.delete.delay.ms": "1000"}
"""A file that the cleaner replaced stays for the second one, a minute by default."""


class _AlterResponse(Response):  # type: ignore[misc]  # aiokafka tells no types
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _AlterStruct(RequestStruct):  # type: ignore[misc]  # aiokafka tells no types
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _AlterResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("config_name", String("utf-8")),
                        ("config_operation", Int8),
                        ("config_value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterRequest(Request[_AlterStruct]):  # type: ignore[misc]  # aiokafka tells no types
    API_KEY: ClassVar[int] = 44

    def __init__(self, topic: str, configs: list[tuple[str, int, str | None]]) -> None:
        self._resources = [(_TOPIC_RESOURCE, topic, configs)]

    def build(self, request_struct_class: type[_AlterStruct]) -> _AlterStruct:
        return request_struct_class(self._resources, False)


@asynccontextmanager
async def purging(connection: Connection, full_name: str) -> AsyncIterator[Purge]:
    """See omma.log.interface.Log.purging. full_name: as Kafka has it.

    Who breaks off in between leaves the topic so; the next one to purge it brings it back to what it was by default.
    Raises NotAllowed where we may not change topics, ReplicaDown.
    """
    before = await _own_settings(connection, full_name)

    async def purge() -> None:
        # Each time: whoever else purged it may just have brought it back.
        await _alter(connection, full_name, [(name, _SET, value) for name, value in _SOON.items()])

    await purge()
    try:
        yield purge
    finally:
        restored: list[tuple[str, int, str | None]] = [
            (name, _DELETE, None) if before.get(name) in (None, soon) else (name, _SET, before[name])
            for name, soon in _SOON.items()
        ]
        await _alter(connection, full_name, restored)


async def _own_settings(connection: Connection, full_name: str) -> dict[str, str]:
    """What somebody set for this topic alone."""
    request = DescribeConfigsRequest([(_TOPIC_RESOURCE, full_name, list(_SOON))], False)
    (answer,) = (await connection.ask(request)).resources
    _require(answer[0], answer[1])
    return {name: value for name, value, _, is_default, *_ in answer[4] if not is_default}


async def _alter(connection: Connection, full_name: str, configs: list[tuple[str, int, str | None]]) -> None:
    (answer,) = (await connection.ask(_AlterRequest(full_name, configs))).resources
    _require(answer[0], answer[1])


def _require(error_code: int, detail: Any) -> None:
    if error_code:
        with translated():
            raise for_code(error_code)(detail)

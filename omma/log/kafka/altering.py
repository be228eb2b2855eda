"""A topic's own settings, changed one by one: aiokafka's request replaces all that somebody set.

IncrementalAlterConfigs v0, KIP-339: https://kafka.apache.org/protocol.html#The_Messages_IncrementalAlterConfigs.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from omma.log.kafka.connection import Connection
from omma.log.kafka.errors import translated

TOPIC_RESOURCE: Final = 2
_SET: Final = 0
_DELETE: Final = 1


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
        self._resources = [(TOPIC_RESOURCE, topic, configs)]

    def build(self, request_struct_class: type[_AlterStruct]) -> _AlterStruct:
        return request_struct_class(self._resources, False)


async def alter(connection: Connection, full_name: str, configs: Mapping[str, str | None]) -> None:
    """full_name: as Kafka has it. configs: None for what the brokers have by default.

    Raises Absent, NotAllowed where we may not change topics, ReplicaDown.
    """
    changes = [(name, _DELETE if value is None else _SET, value) for name, value in configs.items()]
    (answer,) = (await connection.ask(_AlterRequest(full_name, changes))).resources
    require(answer[0], answer[1])


def require(error_code: int, detail: Any) -> None:
    """Raises what the brokers' answer about one topic's settings says, as `alter`."""
    if error_code:
        with translated():
            raise for_code(error_code)(detail)

"""What Kafka tells of its topics, with their ids, which aiokafka's own request leaves out.

Metadata v10, KIP-516: https://kafka.apache.org/protocol.html#The_Messages_Metadata.
"""

import uuid
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_NO_ID: Final = bytes(16)
_NO_TAGS: Final[dict[int, bytes]] = {}


@dataclass(frozen=True, slots=True)
class TopicMetadata:
    """id: another one when a topic of the same name was deleted and made again. ready: every partition has a leader."""

    name: str
    id: uuid.UUID
    partitions: int
    internal: bool
    ready: bool


@dataclass(frozen=True, slots=True)
class ClusterMetadata:
    """error_codes: by topic, for those that could not be told; 3 is an unknown topic."""

    cluster_id: str
    topics: dict[str, TopicMetadata]
    error_codes: dict[str, int]


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]  # aiokafka tells no types
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka tells no types
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]  # aiokafka tells no types
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class MetadataRequest(Request[_MetadataStruct]):  # type: ignore[misc]  # aiokafka tells no types
    """Of these topics, or of all; never makes one."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: list[str] | None) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        topics = None if self._topics is None else [(_NO_ID, name, _NO_TAGS) for name in self._topics]
        return request_struct_class(topics, False, False, False, _NO_TAGS)


def parse(response: Any) -> ClusterMetadata:
    """response: what the broker answered to a MetadataRequest."""
    topics: dict[str, TopicMetadata] = {}
    error_codes: dict[str, int] = {}
    for error_code, name, topic_id, internal, partitions, *_ in response.topics:
        if error_code:
            error_codes[name] = error_code
            continue
        ready = all(one[0] == 0 and one[2] >= 0 for one in partitions)
        topics[name] = TopicMetadata(name, uuid.UUID(bytes=topic_id), len(partitions), internal, ready)
    return ClusterMetadata(response.cluster_id, topics, error_codes)

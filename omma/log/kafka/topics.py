"""Topics: made with what Omma needs of them, checked, listed."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import TopicAlreadyExistsError, for_code
from aiokafka.protocol.admin import CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest

from omma.errors import Absent, InvalidQuery, NotAllowed, ReplicaDown, WrongState
from omma.log.interface import TopicPartition, TopicSpec
from omma.log.kafka.altering import TOPIC_RESOURCE, alter, require
from omma.log.kafka.connection import Connection
from omma.log.kafka.errors import translated
from omma.log.kafka.metadata import ClusterMetadata, MetadataRequest, TopicMetadata, parse
from omma.log.kafka.settings import KafkaSettings
from omma.log.names import checked_name

MAX_PARTITIONS: Final = 1 << 16
_UNKNOWN_TOPIC: Final = 3
_SEGMENT_MS: Final = 24 * 3600 * 1000
"""The cleaner leaves the newest segment alone: a small partition gets a new one every day."""
_COMPACTED: Final = {"cleanup.policy": "compact", "segment.ms": str(_SEGMENT_MS)}
_LOOK_SECONDS: Final = 0.05
_LEADERS_SECONDS: Final = 30.0
"""Until a new topic's partitions have leaders: brokers that are busy name them long after they made it."""


class Topics:
    """Asks the brokers; remembers how many partitions a topic has, which never become fewer."""

    def __init__(self, settings: KafkaSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._partitions: dict[str, int] = {}

    def full_name(self, name: str) -> str:
        """As Kafka has it. Raises InvalidQuery."""
        checked_name(name, "topic")
        return checked_name(self._settings.prefix + name, "topic")

    async def metadata(self, names: Sequence[str] | None = None) -> ClusterMetadata:
        """Of these topics, or of all. Raises ReplicaDown."""
        wanted = None if names is None else [self.full_name(name) for name in names]
        return parse(await self._connection.ask(MetadataRequest(wanted)))

    async def find(self, name: str) -> TopicMetadata:
        """Raises Absent, field `topic`."""
        full = self.full_name(name)
        metadata = await self.metadata([name])
        topic = metadata.topics.get(full)
        if topic is None:
            if metadata.error_codes.get(full, _UNKNOWN_TOPIC) == _UNKNOWN_TOPIC:
                raise Absent(f"The log has no topic {name!r}.", field="topic")
            raise ReplicaDown(f"Kafka does not tell of topic {name!r}: {for_code(metadata.error_codes[full])()}.")
        self._partitions[name] = topic.partitions
        return topic

    async def require(self, at: TopicPartition) -> None:
        """Raises Absent when there is no such topic or partition; asks a broker only about what is new."""
        partitions = self._partitions.get(at.topic, 0)
        if at.partition >= partitions:
            partitions = (await self.find(at.topic)).partitions
        if not 0 <= at.partition < partitions:
            raise Absent(f"Topic {at.topic!r} has no partition {at.partition}.", field="partition")

    async def ensure(self, spec: TopicSpec) -> None:
        """Make the topic, or check it; every partition has a leader when it returns.

        Raises WrongState; ReplicaDown while an earlier topic of this name is being deleted.
        """
        self.full_name(spec.name)
        if not 1 <= spec.partitions <= MAX_PARTITIONS:
            raise InvalidQuery(f"A topic has 1 to {MAX_PARTITIONS} partitions.", field="partitions")
        try:
            await self.find(spec.name)
        except Absent:
            await self._create(spec)
        found = next(iter(await self.specs([spec.name])), None)
        if found is None:
            raise ReplicaDown(f"Topic {spec.name!r} is being deleted.")
        if (found.partitions, found.compacted) != (spec.partitions, spec.compacted):
            raise WrongState(
                f"Topic {spec.name!r} has {_told(found)}; {_told(spec)} are needed.",
                field="topic",
            )

    async def make_compacted(self, name: str) -> None:
        """Brokers tell of it a moment later. Raises Absent, NotAllowed, ReplicaDown."""
        try:
            await alter(self._connection, self.full_name(name), _COMPACTED)
        except NotAllowed:
            detail = f"Topic {name!r} has to be compacted: set cleanup.policy=compact, which Kafka does not allow us."
            raise NotAllowed(detail, field="topic") from None

    async def delete(self, name: str) -> None:
        """For good; nothing where there is none."""
        timeout_ms = int(self._settings.request_seconds * 1000)
        answer = await self._connection.ask(DeleteTopicsRequest([self.full_name(name)], timeout_ms))
        self._partitions.pop(name, None)
        for _, error_code in answer.topic_error_codes:
            if error_code not in (0, _UNKNOWN_TOPIC):
                with translated():
                    raise for_code(error_code)()

    async def specs(self, names: Sequence[str] | None = None) -> list[TopicSpec]:
        """Of these topics, or of all that carry the prefix, by name; without one that is deleted meanwhile."""
        prefix = self._settings.prefix
        found = [
            topic
            for topic in (await self.metadata(names)).topics.values()
            if topic.name.startswith(prefix) and not topic.internal
        ]
        if not found:
            return []
        configs = await self._configs([topic.name for topic in found])
        return sorted(
            (
                TopicSpec(
                    topic.name.removeprefix(prefix),
                    topic.partitions,
                    compacted=configs[topic.name]["cleanup.policy"] == "compact",
                    retention_seconds=int(configs[topic.name]["retention.ms"]) // 1000,
                )
                for topic in found
                if topic.name in configs
            ),
            key=lambda spec: spec.name,
        )

    async def _create(self, spec: TopicSpec) -> None:
        factor = self._settings.replication_factor
        configs = {
            "retention.ms": str(spec.retention_seconds * 1000),
            "min.insync.replicas": str(min(2, max(1, factor - 1))),
        }
        if spec.compacted:
            configs |= _COMPACTED
        else:
            configs["cleanup.policy"] = "delete"
        no_assignment: list[int] = []
        new = (self.full_name(spec.name), spec.partitions, factor, no_assignment, list(configs.items()))
        timeout_ms = int(self._settings.request_seconds * 1000)
        answer = await self._connection.ask(CreateTopicsRequest([new], timeout_ms, False))
        for _, error_code, *detail in answer.topic_errors:
            error = for_code(error_code)
            # Made by someone else meanwhile: it is checked like any other.
            if error_code and error is not TopicAlreadyExistsError:
                with translated():
                    raise error(*detail)
        await self._until_ready(spec.name)

    async def _until_ready(self, name: str) -> None:
        until = time.monotonic() + _LEADERS_SECONDS
        while True:
            topic = (await self.metadata([name])).topics.get(self.full_name(name))
            if topic is not None and topic.ready:
                return
            if time.monotonic() > until:
                raise ReplicaDown(f"Topic {name!r} was made and its partitions have no leaders yet.")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _configs(self, full_names: Sequence[str]) -> dict[str, dict[str, str]]:
        """By topic, of those that are there by now."""
        wanted = [(TOPIC_RESOURCE, name, ["cleanup.policy", "retention.ms"]) for name in full_names]
        answer = await self._connection.ask(DescribeConfigsRequest(wanted, False))
        configs = {}
        for error_code, detail, _, name, entries in answer.resources:
            if error_code == _UNKNOWN_TOPIC:
                continue
            require(error_code, detail)
            configs[name] = {entry[0]: entry[1] for entry in entries}
        return configs


def _told(spec: TopicSpec) -> str:
    return f"{spec.partitions} partitions and cleanup.policy{'=' if spec.compacted else ' other than '}compact"

"""What the log still has of erased pictures: vectors and what was said of them, and letters of their deaths."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final

from google.protobuf.message import DecodeError

from omma.backlog import indexer_group, wait_until_handled
from omma.buckets import bucket_of
from omma.catalog.erasure import Erasure
from omma.catalog.interface import Catalog
from omma.errors import Absent
from omma.identity import Tenant, Version
from omma.index import IndexState
from omma.log.interface import Log, LogRecord, Producer, TopicPartition
from omma.outbox import Outbox
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC, deleted_record, image_key, image_key_in
from omma.space import Space, SpaceId
from omma.v1 import records_pb2
from services.worker.jobs.progress import Progress

_LOOKED_AT_ONCE: Final = 1_000
_LOOK_SECONDS: Final = 1.0
_LOOK_AGAIN_SECONDS: Final = 10.0
"""Whether an indexer that is waited for still works."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0

_Held = Mapping[TopicPartition, Counter[bytes]]
"""How many records of each key say something of the pictures, by partition."""


class LogTraces:
    """Of every space's topic, whether an index of it still answers or not."""

    def __init__(self, catalog: Catalog, log: Log, outbox: Outbox) -> None:
        self._catalog = catalog
        self._log = log
        self._outbox = outbox

    async def clear(self, tenant: Tenant, erased: Sequence[Erasure], progress: Progress) -> None:
        """Returns when a reader of the topics from their beginnings finds nothing but deletes; counts `log_records`.

        Takes as long as the indexers are behind, and on Kafka some seconds more.
        """
        topics = {spec.name: spec.partitions for spec in await self._log.topics()}
        await self._outbox.send_unsent()
        for one in sorted(await self._followed()):
            await self._handled(one)
        followed = await self._followed()
        async with AsyncExitStack() as stack:
            producer = await self._log.producer()
            stack.push_async_callback(producer.close)
            if partitions := topics.get(DEAD_LETTERS_TOPIC):
                await self._purge(_Letters(partitions, erased, producer), progress)
            for space in await self._catalog.spaces():
                if space.vectors_topic not in topics:
                    continue
                if space.id in followed:
                    await self._purge(_Followed(space, erased, self._catalog, self._outbox, self._log), progress)
                else:
                    await self._purge(_Abandoned(space, erased, tenant, producer), progress)

    async def _followed(self) -> set[SpaceId]:
        """Spaces whose indexer works: it does not while the building of their only index is paused."""
        routing = await self._catalog.routing()
        active = (one for one in routing.indexes if one.state is not IndexState.RETIRED)
        return {one.space for one in active if not routing.paused(one.id)}

    async def _handled(self, space: SpaceId) -> None:
        """What the topic of events has by now, unless nobody is at work on it any more."""
        while space in await self._followed():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await wait_until_handled(self._log, IMAGES_TOPIC, indexer_group(space))
                    return

    async def _purge(self, topic: "_Topic", progress: Progress) -> None:
        with suppress(Absent):  # the last index of its space was retired, and the topic went with it
            await self._purge_present(topic, progress)

    async def _purge_present(self, topic: "_Topic", progress: Progress) -> None:
        pause_seconds, counted = _FIRST_PAUSE_SECONDS, False
        async with self._log.purging(topic.name) as purge:
            while True:
                await purge()
                held = await self._held(topic)
                if not counted:
                    progress.counts["log_records"] += sum(keys.total() for keys in held.values())
                    counted = True
                if not held:
                    return
                await topic.write_again(held)
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    async def _held(self, topic: "_Topic") -> _Held:
        """What says something of the pictures; of partitions that have nothing nothing is read again."""
        beginnings = await self._log.beginning_offsets(topic.name)
        ends = await self._log.end_offsets(topic.name)
        held: dict[TopicPartition, Counter[bytes]] = {}
        for partition in sorted(topic.partitions):
            at, end = TopicPartition(topic.name, partition), ends[partition]
            consumer = await self._log.assign({at: beginnings[partition]})
            try:
                while consumer.position(at) < end:
                    for record in await consumer.poll(_LOOKED_AT_ONCE, _LOOK_SECONDS):
                        if topic.is_of_them(record.key) and topic.says_something(record):
                            held.setdefault(at, Counter())[record.key] += 1
            finally:
                await consumer.close()
        topic.partitions = {at.partition for at in held}
        return held


class _Topic:
    """partitions: where the pictures' records may be."""

    def __init__(self, name: str, buckets: int, erased: Sequence[Erasure]) -> None:
        self.name = name
        self.erased = erased
        self.buckets = buckets
        self.partitions = {bucket_of(one.image_id, buckets) for one in erased}
        self.image_keys = {image_key(one.image_id) for one in erased}

    def is_of_them(self, key: bytes) -> bool:
        return key in self.image_keys

    def says_something(self, record: LogRecord) -> bool:
        raise NotImplementedError

    async def write_again(self, held: _Held) -> None:
        """Something to these partitions, after which what is superseded may go."""
        raise NotImplementedError

    def one_each(self, at: Collection[TopicPartition]) -> list[Erasure]:
        """A picture of each of these partitions."""
        wanted = {one.partition for one in at}
        found = {bucket_of(one.image_id, self.buckets): one for one in self.erased}
        return [one for partition, one in sorted(found.items()) if partition in wanted]


class _Letters(_Topic):
    """Of deaths, of each space one: a null after each."""

    def __init__(self, partitions: int, erased: Sequence[Erasure], producer: Producer) -> None:
        super().__init__(DEAD_LETTERS_TOPIC, partitions, erased)
        self._producer = producer

    def is_of_them(self, key: bytes) -> bool:
        return image_key_in(key) in self.image_keys

    def says_something(self, record: LogRecord) -> bool:
        return record.value is not None

    async def write_again(self, held: _Held) -> None:
        nulls = [(at.partition, key, None) for at, keys in held.items() for key in sorted(keys)]
        await self._producer.send_many(self.name, nulls)


class _Vectors(_Topic):
    def __init__(self, space: Space, erased: Sequence[Erasure]) -> None:
        super().__init__(space.vectors_topic, space.buckets, erased)

    def says_something(self, record: LogRecord) -> bool:
        if record.value is None:
            return False
        try:
            return not records_pb2.VectorRecord.FromString(record.value).deleted
        except DecodeError:
            return True  # nobody knows what


class _Followed(_Vectors):
    """Of a space with an indexer, which alone writes there: it deletes them once more."""

    def __init__(self, space: Space, erased: Sequence[Erasure], catalog: Catalog, outbox: Outbox, log: Log) -> None:
        super().__init__(space, erased)
        self._group = indexer_group(space.id)
        self._catalog = catalog
        self._outbox = outbox
        self._log = log

    async def write_again(self, held: _Held) -> None:
        changes = await self._catalog.overtake({one.image_id: one.version for one in self.one_each(held)})
        await self._outbox.send(changes)
        await wait_until_handled(self._log, IMAGES_TOPIC, self._group)


class _Abandoned(_Vectors):
    """Of a space that nobody writes to: no index is of it any more, or the building of its only one is paused."""

    def __init__(self, space: Space, erased: Sequence[Erasure], tenant: Tenant, producer: Producer) -> None:
        super().__init__(space, erased)
        self._space = space
        self._tenant = tenant
        self._producer = producer

    async def write_again(self, held: _Held) -> None:
        wanted = {one.partition for one in held}
        gone = [
            deleted_record(one.image_id, Version(one.version), self._tenant, self._space.id, self._space.dim)
            for one in self.erased
        ]
        records = [(bucket_of(one.image_id, self.buckets), image_key(one.image_id), one.encode()) for one in gone]
        await self._producer.send_many(self.name, [each for each in records if each[0] in wanted])

"""A member of a consumer group."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from omma.errors import ConcurrentWrite, OmmaError
from omma.log.interface import LogRecord, OnAssigned, TopicPartition
from omma.log.kafka.consumer import AssignedConsumer, client
from omma.log.kafka.errors import translated
from omma.log.kafka.settings import KafkaSettings
from omma.log.kafka.topics import Topics
from omma.log.names import checked_name
from omma.persistence import persist

_CLAIM_AGAIN_SECONDS: Final = 1.0

Committed = Callable[[], Awaitable[Mapping[int, int]]]

logger = logging.getLogger(__name__)


class GroupConsumer(AssignedConsumer):
    """Reads its share of a topic from where the group has committed.

    aiokafka joins and leaves behind its user's back, so each rebalance is held up at two points. Partitions go only
    once their reader is back at `poll`, or has closed, or `rebalance_seconds` are half over: what it polled before is
    handled. And nothing is read from new ones before `on_assigned` has returned and their committed offsets have been
    asked for again, since what it fences may have committed more. That goes on beside the group's heartbeats: aiokafka
    sends none until its listener has returned, and a slow broker would have the member expelled meanwhile.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Topics,
        consumer: AIOKafkaConsumer,
        committed: Committed,
        on_assigned: OnAssigned | None,
    ) -> None:
        super().__init__(settings, topics, consumer)
        self._committed = committed
        self._on_assigned = on_assigned
        self._settled = asyncio.Event()
        self._at_poll = asyncio.Event()
        self._generation = 0
        self._claiming: asyncio.Task[None] | None = None

    @classmethod
    async def join(
        cls,
        settings: KafkaSettings,
        topics: Topics,
        topic: str,
        group: str,
        *,
        committed: Committed,
        on_assigned: OnAssigned | None,
    ) -> Self:
        """committed: next-offsets of the group, asked of its coordinator: aiokafka may have asked before the claim.

        Returns before partitions are assigned. Raises Absent without the topic, ReplicaDown."""
        full_group = settings.prefix + checked_name(group, "group")
        await topics.find(topic)
        consumer = client(
            settings,
            group_id=full_group,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=int(settings.session_seconds * 1000),
            heartbeat_interval_ms=int(settings.session_seconds * 300),
            rebalance_timeout_ms=int(settings.rebalance_seconds * 1000),
        )
        self = cls(settings, topics, consumer, committed, on_assigned)
        await self._connect()
        consumer.subscribe([topics.full_name(topic)], listener=_Listener(self))
        return self

    async def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_seconds
        self._at_poll.set()
        try:
            while True:
                self._require_open()
                left = max(0.0, until - loop.time())
                if not await self._until_settled(left):
                    return []
                generation = self._generation
                try:
                    records = await super().poll(max_records, max(0.0, until - loop.time()))
                except IllegalStateError:
                    continue  # a partition went while its position was asked for
                if generation == self._generation and self._settled.is_set():
                    return records
                # Of before the rebalance, or of before its offsets were known: they will be read again by their owner.
        finally:
            self._at_poll.clear()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises ConcurrentWrite when a partition has gone to another member meanwhile."""
        named = {self._kafka(at): offset for at, offset in offsets.items()}
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                await self._consumer.commit(named)
        except (CommitFailedError, IllegalStateError) as error:
            raise ConcurrentWrite("A partition belongs to another member of the group now.") from error
        except (KafkaError, TimeoutError, OSError):
            with translated():
                raise

    async def close(self) -> None:
        self._at_poll.set()
        self._settled.set()
        await super().close()
        await self._end_claim()

    async def revoked(self) -> None:
        """A rebalance begins: wait for the reader to be done with what it has."""
        self._settled.clear()
        self._generation += 1
        await self._end_claim()
        if self._positions and not self.closed:
            try:
                async with asyncio.timeout(self._settings.rebalance_seconds / 2):
                    await self._at_poll.wait()
            except TimeoutError:
                logger.warning("Partitions go although their reader is not done with what it polled")
        self._positions, self._paused = {}, set()

    async def assigned(self, partitions: Collection[KafkaPartition]) -> None:
        """The share of this member is known: begin to claim it."""
        await self._end_claim()
        if not self.closed:
            ours = sorted(self._ours(partition) for partition in partitions)
            self._claiming = asyncio.create_task(self._claim(ours), name="claim")

    async def _claim(self, ours: Sequence[TopicPartition]) -> None:
        """Then find where to go on."""

        async def claim() -> None:
            if self._on_assigned is not None and ours:
                await self._on_assigned(ours)
            committed = await self._committed() if ours else {}
            self._positions = {at: await self._go_on(at, committed.get(at.partition)) for at in ours}
            self._heard = dict.fromkeys(ours, time.monotonic())

        await persist(
            "claiming partitions",
            claim,
            _CLAIM_AGAIN_SECONDS,
            longest_wait_seconds=_CLAIM_AGAIN_SECONDS,
            passes=lambda error: isinstance(error, KafkaError | OmmaError | OSError),
        )
        self._settled.set()

    async def _end_claim(self) -> None:
        """A claim that is not done yet is given up: the partitions may be another member's from now on."""
        claiming, self._claiming = self._claiming, None
        if claiming is not None:
            claiming.cancel()
            await asyncio.wait([claiming])

    async def _go_on(self, at: TopicPartition, committed: int | None) -> int:
        partition = self._kafka(at)
        if committed is None:
            await self._consumer.seek_to_beginning(partition)
            return int(await self._consumer.position(partition))
        self._consumer.seek(partition, committed)
        return committed

    async def _until_settled(self, timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._settled.wait()
        except TimeoutError:
            if self._claiming is not None and self._claiming.done():
                self._claiming.result()  # raises what nobody expected
            return False
        return True


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka tells no types
    def __init__(self, member: GroupConsumer) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: Collection[KafkaPartition]) -> None:
        await self._member.revoked()

    async def on_partitions_assigned(self, assigned: Collection[KafkaPartition]) -> None:
        await self._member.assigned(assigned)

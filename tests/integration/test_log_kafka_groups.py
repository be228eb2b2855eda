"""What a group's coordinator answers while it cannot answer: an error, never that nothing was committed."""

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.parts import Kafka
from omma.errors import NotAllowed, OmmaError, ReplicaDown
from omma.log.interface import Log, TopicPartition, TopicSpec
from omma.log.kafka.connection import Connection
from tests.contract.logs import PLENTY, drain, kafka_backend

AT = TopicPartition("t", 1)
LOADING, NO_COORDINATOR, GROUP_REFUSED = 14, 16, 30


@pytest.fixture
async def log(kafka: Kafka) -> AsyncIterator[Log]:
    """Its group `g` has committed 2 of three records."""
    backend = kafka_backend(kafka)
    log = await backend.open()
    await log.ensure_topic(TopicSpec("t", 2))
    await (await log.producer()).send_many("t", [(1, b"k", b"%d" % i) for i in range(3)])
    member = await log.subscribe("t", "g")
    assert len(await drain(member, 3)) == 3
    await member.commit({AT: 2})
    await member.close()
    yield log
    await backend.close()


def answering(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any], times: int) -> None:
    """The coordinator's next answers are spoilt: when a real one loads is its own affair, and over in milliseconds."""
    ask, left = Connection.ask_coordinator, times

    async def spoilt(self: Connection, group: str, request: Any) -> Any:
        nonlocal left
        answer = await ask(self, group, request)
        left -= 1
        return spoil(answer) if left >= 0 else answer

    monkeypatch.setattr(Connection, "ask_coordinator", spoilt)


def failing(error_code: int) -> Callable[[Any], Any]:
    return lambda answer: SimpleNamespace(topics=[], error_code=error_code)


def without_a_partition(answer: Any) -> Any:
    return SimpleNamespace(topics=[(name, found[:1]) for name, found in answer.topics], error_code=0)


def with_one_that_fails(answer: Any) -> Any:
    topics = [(name, [(*found[0][:3], LOADING), *found[1:]]) for name, found in answer.topics]
    return SimpleNamespace(topics=topics, error_code=0)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (failing(LOADING), ReplicaDown),
        (failing(NO_COORDINATOR), ReplicaDown),
        (failing(GROUP_REFUSED), NotAllowed),
        (without_a_partition, ReplicaDown),
        (with_one_that_fails, ReplicaDown),
    ],
)
async def test_what_was_committed_is_told_or_is_an_error(
    log: Log, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any], error: type[OmmaError]
) -> None:
    answering(monkeypatch, spoil, times=1)
    with pytest.raises(error):
        await log.committed("g", "t")
    assert await log.committed("g", "t") == {1: 2}
    assert await log.committed("nobody", "t") == {}


async def test_a_member_that_joins_meanwhile_goes_on_where_the_group_was(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, failing(LOADING), times=2)
    member = await log.subscribe("t", "g")
    assert [record.offset for record in await member.poll(10, PLENTY)] == [2]

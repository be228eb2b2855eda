"""aiokafka's errors as Omma's."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as kafka

from omma.errors import Absent, NotAllowed, OmmaError, ReplicaDown, TooLarge

_KINDS: tuple[tuple[tuple[type[Exception], ...], type[OmmaError], str], ...] = (
    ((kafka.UnknownTopicOrPartitionError,), Absent, "Kafka has no such topic or partition"),
    ((kafka.MessageSizeTooLargeError, kafka.RecordTooLargeError), TooLarge, "The record is too large for Kafka"),
    (
        (
            kafka.TopicAuthorizationFailedError,
            kafka.GroupAuthorizationFailedError,
            kafka.ClusterAuthorizationFailedError,
            kafka.PolicyViolationError,
            kafka.InvalidConfigurationError,
        ),
        NotAllowed,
        "Kafka does not allow this",
    ),
)
_AWAY = "The log does not answer; try again."


@contextmanager
def translated() -> Iterator[None]:
    """Raises the OmmaError for what aiokafka raises inside: ReplicaDown for whatever another try may get past. What
    aiokafka says, addresses with it, is the cause's.

    TimeoutError too, so that a bounded wait inside becomes ReplicaDown; and a CancelledError although nobody cancels
    this task: it is that of one of aiokafka's own, and would end ours without a word.
    """
    try:
        yield
    except OmmaError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ReplicaDown(_AWAY, retry_after_seconds=1.0) from error
    except (TimeoutError, kafka.KafkaError, OSError) as error:
        for types, kind, detail in _KINDS:
            if isinstance(error, types):
                raise kind(f"{detail}.") from error
        raise ReplicaDown(_AWAY, retry_after_seconds=1.0) from error


def ends_producer(error: BaseException | None) -> bool:
    """Whether an idempotent producer can write no more after this: it was fenced, or its sequence is broken."""
    return (
        isinstance(error, kafka.KafkaError) and not error.retriable and not isinstance(error, kafka.KafkaTimeoutError)
    )

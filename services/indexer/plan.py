"""What an event asks for, given the row as it is: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from omma.catalog.interface import Picture, PictureState
from omma.identity import ImageId
from omma.log.interface import LogRecord
from omma.records import EventKind, ImageEvent


@dataclass(frozen=True, slots=True)
class Plan:
    """Of one batch of events. deleted, living: the rows to write, each once; unreadable: records that are no event.

    unchanged_bytes: ids among the living whose event says that only attributes changed.
    """

    deleted: tuple[Picture, ...]
    living: tuple[Picture, ...]
    unchanged_bytes: frozenset[ImageId]
    events: Mapping[ImageId, ImageEvent]
    partitions: Mapping[ImageId, int]
    unreadable: tuple[LogRecord, ...]


def decode(records: Sequence[LogRecord]) -> tuple[list[tuple[LogRecord, ImageEvent]], list[LogRecord]]:
    """Events with the records that carry them, and the records that carry none."""
    events, unreadable = [], []
    for record in records:
        try:
            events.append((record, ImageEvent.decode(record.value or b"")))
        except (DecodeError, ValueError):
            unreadable.append(record)
    return events, unreadable


def plan(
    events: Sequence[tuple[LogRecord, ImageEvent]], rows: Mapping[ImageId, Picture], unreadable: Sequence[LogRecord]
) -> Plan:
    """An event older than its row is dropped: a newer one is on its way. The row decides, the event only points."""
    current: dict[ImageId, ImageEvent] = {}
    partitions: dict[ImageId, int] = {}
    for record, event in events:
        row = rows.get(event.image_id)
        if row is not None and event.version >= row.version:
            current[row.id] = event
            partitions[row.id] = record.partition
    wanted = [rows[image_id] for image_id in current]
    return Plan(
        deleted=tuple(row for row in wanted if row.state is PictureState.DELETED),
        living=tuple(row for row in wanted if row.state is not PictureState.DELETED),
        unchanged_bytes=frozenset(i for i, event in current.items() if event.kind is EventKind.ATTRIBUTES),
        events=current,
        partitions=partitions,
        unreadable=tuple(unreadable),
    )

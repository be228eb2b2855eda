"""What records ask for, given the rows as they are: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from omma.catalog.picture import Picture, PictureState
from omma.identity import ImageId
from omma.records import EventKind
from omma.space import Space
from services.indexer.taken import Settled, Taken


@dataclass(frozen=True, slots=True)
class Living:
    """A picture that wants vectors. unchanged_bytes: its event says that only attributes changed."""

    taken: Taken
    row: Picture

    @property
    def unchanged_bytes(self) -> bool:
        event = self.taken.event
        return event is not None and event.kind is EventKind.ATTRIBUTES


@dataclass(frozen=True, slots=True)
class Plan:
    """settled: what needs no vectors: deletes, events that are overtaken or have no row, records that are no event."""

    settled: tuple[Settled, ...]
    living: tuple[Living, ...]


def plan(taken: Sequence[Taken], rows: Mapping[ImageId, Picture], space: Space) -> Plan:
    """The row decides, the event only points: an older one than the row may be the last that the log has of a picture,
    since two writers' events come in any order and compaction keeps the last.

    What belongs to another space has nothing here; had it once, before its key got another meaning, that goes.
    """
    settled, living = [], []
    for one in taken:
        row = None if one.event is None else rows.get(one.event.image_id)
        if one.overtaken or one.event is None or row is None:
            settled.append(Settled(one))
        elif row.state is PictureState.DELETED:
            settled.append(Settled(one, row))
        elif not space.takes(row.space):
            settled.append(Settled(one, row) if row.version > 1 else Settled(one))
        else:
            living.append(Living(one, row))
    return Plan(tuple(settled), tuple(living))

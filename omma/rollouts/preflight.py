"""What a rollout will take, and whether it fits: estimates with their constants, before anything is begun."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from omma.errors import WrongState

_RECORD_BYTES: Final = 600
"""Of a row in log and segments beside its vector: uri, attributes, hashes, and what SQLite or Kafka adds."""
_CODE_BYTES: Final = 96
"""Of a row in memory: PQ codes, ids, versions, columns."""
_PICTURES_PER_SECOND: Final = 10
"""Embedded beside live searches, on two cores; docs/benchmarks.md has the rate of other machines."""
_ROWS_PER_SECOND: Final = 5_000
"""Read from the vectors topic into an index."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the machine has left; None for what is not known, as of shards elsewhere."""

    disk_bytes: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    """pictures: live ones. embedded: those that must be embedded for it. seconds: until it is built, roughly."""

    pictures: int
    embedded: int
    disk_bytes: int
    memory_bytes: int
    seconds: int

    def document(self) -> dict[str, Any]:
        """JSON values only."""
        return asdict(self)

    def require(self, room: Room) -> None:
        """Raises WrongState, field `disk` or `memory`, when it cannot fit: nothing is full yet."""
        for field, needed, left in (
            ("disk", self.disk_bytes, room.disk_bytes),
            ("memory", self.memory_bytes, room.memory_bytes),
        ):
            if left is not None and needed > left:
                raise WrongState(
                    f"The new index needs about {needed:,} bytes of {field} and {left:,} are left.",
                    field=field,
                    limit=left,
                )


def preflight(pictures: int, dim: int, *, new_space: bool) -> Preflight:
    """Of a candidate of so many pictures. new_space: its vectors are in no log yet. Pure."""
    row = 2 * dim + _RECORD_BYTES
    embedded = pictures if new_space else 0
    return Preflight(
        pictures=pictures,
        embedded=embedded,
        disk_bytes=pictures * row * (3 if new_space else 2),
        memory_bytes=pictures * _CODE_BYTES + 65_536 * 2 * dim,
        seconds=embedded // _PICTURES_PER_SECOND + pictures // _ROWS_PER_SECOND,
    )

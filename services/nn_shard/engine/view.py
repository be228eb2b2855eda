"""What a search works on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """live: live rows (vectors); pictures: live pictures; dead_rows: hidden until a merge; head_rows: not sealed yet."""

    live: int
    pictures: int
    dead_rows: int
    head_rows: int
    segments: int

"""What a search works on: all parts at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from omma.vectors import Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.part import Part


@dataclass(frozen=True, slots=True)
class Counts:
    """live: live rows (vectors); pictures: live; dead_rows: hidden until a merge; head_rows: not sealed yet."""

    live: int
    pictures: int
    dead_rows: int
    head_rows: int
    segments: int


@dataclass(frozen=True, slots=True)
class View:
    """Immutable. segments: sealed; frozen: heads that wait to be sealed; head: the growing one, as it was."""

    segments: tuple[Part, ...]
    frozen: tuple[Part, ...]
    head: Part
    codebook: Codebook | None
    parts: tuple[Part, ...] = field(init=False)
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        heads = (*self.frozen, self.head)
        parts = tuple(part for part in (*self.segments, *heads) if part.live_rows)
        everything = (*self.segments, *heads)
        live = sum(part.live_rows for part in everything)
        counts = Counts(
            live=live,
            pictures=sum(part.live_pictures for part in everything),
            dead_rows=sum(part.rows for part in everything) - live,
            head_rows=sum(part.rows for part in heads),
            segments=len(self.segments),
        )
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "counts", counts)

    def everything(self) -> tuple[Part, ...]:
        """Every part, also those without a live row: they remember versions and deletes."""
        return (*self.segments, *self.frozen, self.head)

    def newest(self, ids: Int64) -> Int64:
        """int64[n]: the newest version known of each id, live or not, deletes included; -1 for a picture never seen."""
        best = np.full(len(ids), -1, np.int64)
        for part in self.everything():
            at = part.locate(ids)
            known = at >= 0
            if known.any():
                best[known] = np.maximum(best[known], part.columns.versions[at[known]])
            np.maximum(best, part.store.buried(ids), out=best)
        return best

    def find(self, ids: Int64) -> list[tuple[Part, int] | None]:
        """Part and position of each live picture; None for one that is not live."""
        found: list[tuple[Part, int] | None] = [None] * len(ids)
        for part in self.parts:
            at = part.locate(ids)
            known = np.flatnonzero(at >= 0)
            for number in known[part.pictures_live(at[known])].tolist():
                found[number] = (part, int(at[number]))
        return found


def without(parts: Sequence[Part], ids: Int64) -> tuple[Part, ...]:
    """The parts with these pictures hidden."""
    hidden = []
    for part in parts:
        at = part.locate(ids)
        at = at[at >= 0]
        hidden.append(part.without(at.tolist()) if len(at) else part)
    return tuple(hidden)

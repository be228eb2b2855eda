"""What to do next so that searches stay fast: seal full heads, encode what has no codes, merge small segments."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from omma.vectors import Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.head import Head
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.segment_writer import write_segment
from services.nn_shard.engine.settings import EngineSettings
from services.nn_shard.engine.view import View


class Work(StrEnum):
    SEAL = "seal"
    ENCODE = "encode"
    MERGE = "merge"


@dataclass(slots=True)
class Task:
    """Rewrites the live rows of `inputs` as one segment. `run` blocks on disk, beside searches and applies."""

    kind: Work
    inputs: tuple[Part, ...]
    folder: Path
    dim: int
    codebook: Codebook | None
    built: Segment | None = field(default=None)
    _abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def urgent(self) -> bool:
        """A checkpoint waits for it; it takes seconds at most."""
        return self.kind is Work.SEAL

    def run(self) -> None:
        """Build the segment. Once; raises OSError when the disk is full, Abandoned; then it leaves no file."""
        deletes, abandoned = deletes_of(self.inputs), self._abandoned.is_set
        self.built = write_segment(self.folder, self.inputs, deletes, self.codebook, self.dim, abandoned=abandoned)

    def abandon(self) -> None:
        """Make `run` end soon, without effect. Any thread."""
        self._abandoned.set()


def plan(view: View, folder: Path, dim: int, settings: EngineSettings) -> Task | None:
    """The most urgent task; None when there is none."""
    if view.frozen:
        return Task(Work.SEAL, view.frozen[:1], folder, dim, view.codebook)
    if view.codebook is not None:
        for part in view.segments:
            if not part.store.encoded:
                return Task(Work.ENCODE, (part,), folder, dim, view.codebook)
    inputs = _to_merge(view.segments, settings)
    return Task(Work.MERGE, inputs, folder, dim, view.codebook) if inputs else None


def _to_merge(segments: Sequence[Part], settings: EngineSettings) -> tuple[Part, ...]:
    """Small segments join a larger one once they are 1 / merge_ratio of it.

    A query meets O(log n) segments, each at 100 us, and a row is rewritten up to merge_ratio times a level, beside the
    searches. One with many dead rows is rewritten alone.
    """
    by_size = sorted(segments, key=lambda part: part.live_rows)
    total, taken = 0, 0
    for count, part in enumerate(by_size):
        if count and part.live_rows > settings.merge_ratio * total:
            break
        if total + part.live_rows > settings.max_segment_rows:
            break
        total += part.live_rows
        taken = count + 1
    if taken > 1:
        return tuple(by_size[:taken])
    for part in by_size:
        if part.rows - part.live_rows > settings.max_dead_fraction * part.rows:
            return (part,)
    return ()


def deletes_of(parts: Sequence[Part]) -> tuple[Int64, Int64]:
    """Ids and versions of the deletes that the parts remember, by id, the newest of each."""
    ids: list[Int64] = []
    versions: list[Int64] = []
    for part in parts:
        store = part.store
        if isinstance(store, Segment):
            of_part = store.deletes()
        else:
            assert isinstance(store, Head), "a store is a head or a segment"
            of_part = np.array(list(store.deletes), np.int64), np.array(list(store.deletes.values()), np.int64)
        ids.append(of_part[0])
        versions.append(of_part[1])
    every, newest = np.concatenate(ids), np.concatenate(versions)
    order = np.lexsort((-newest, every))
    every, newest = every[order], newest[order]
    first = np.ones(len(every), np.bool_)
    first[1:] = every[1:] != every[:-1]
    return every[first], newest[first]

"""What to do next so that searches stay fast: seal full heads, encode what has no codes, merge small segments."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from omma.vectors import Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.head import Head
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.segment_writer import write_segment
from services.nn_shard.engine.view import View
from services.nn_shard.engine_settings import EngineSettings


class Work(StrEnum):
    SEAL = "seal"
    ENCODE = "encode"
    MERGE = "merge"


ALL_WORK: Final = frozenset(Work)
MOST_MERGED: Final = 16
"""Segments that become one at a time: of a million rows as they are sealed, half a minute's work."""


@dataclass(slots=True)
class Task:
    """Rewrites the live rows of `inputs` as one segment. `run` blocks on disk, beside searches and applies.

    retired: set when the engine wants no segment any more.
    """

    kind: Work
    inputs: tuple[Part, ...]
    folder: Path
    dim: int
    codebook: Codebook | None
    retired: threading.Event
    built: Segment | None = field(default=None)
    _abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def urgent(self) -> bool:
        """A checkpoint waits for it; it takes seconds at most."""
        return self.kind is Work.SEAL

    def run(self) -> None:
        """Build the segment. Once; raises OSError when the disk is full, Abandoned; then it leaves no file."""
        deletes = deletes_of(self.inputs)
        self.built = write_segment(
            self.folder, self.inputs, deletes, self.codebook, self.dim, abandoned=self._is_abandoned
        )

    def abandon(self) -> None:
        """Make `run` end soon, without effect. Any thread."""
        self._abandoned.set()

    def _is_abandoned(self) -> bool:
        return self._abandoned.is_set() or self.retired.is_set()


def plan(
    view: View, settings: EngineSettings, kinds: Collection[Work], *, patient: bool = False
) -> tuple[Work, tuple[Part, ...]] | None:
    """The most urgent work of these kinds, and on which parts; None when there is none.

    patient: small segments wait until a merge can take as many as it ever does, so that a row is rewritten less often.
    """
    if Work.SEAL in kinds and view.frozen:
        return Work.SEAL, view.frozen[:1]
    if Work.ENCODE in kinds and view.codebook is not None:
        for part in view.segments:
            if not part.store.encoded:
                return Work.ENCODE, (part,)
    inputs = _to_merge(view.segments, settings, patient) if Work.MERGE in kinds else ()
    return (Work.MERGE, inputs) if inputs else None


def holder_of(view: View, ids: Int64) -> Part | None:
    """A sealed segment that holds rows of these pictures, live or dead; None when none does."""
    return next((part for part in view.segments if (part.locate(ids) >= 0).any()), None)


def _to_merge(segments: Sequence[Part], settings: EngineSettings, patient: bool) -> tuple[Part, ...]:
    """Small segments join a larger one once they are 1 / merge_ratio of it; of many the smallest come first, so that
    searches have something of it soon and whoever stops loses little.

    A query meets O(log n) segments, each at 100 us, and a row is rewritten up to merge_ratio times a level, beside the
    searches. One with many dead rows is rewritten alone.
    """
    by_size = sorted(segments, key=lambda part: part.live_rows)
    total, taken = 0, 0
    for count, part in enumerate(by_size[:MOST_MERGED]):
        if count and part.live_rows > settings.merge_ratio * total:
            break
        if total + part.live_rows > settings.max_segment_rows:
            break
        total += part.live_rows
        taken = count + 1
    if taken >= (MOST_MERGED if patient else 2):
        return tuple(by_size[:taken])
    if patient:
        return ()
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

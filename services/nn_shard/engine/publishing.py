"""What searches see and the head that grows behind it: replaced together, one view after the other."""

import math
import threading
from collections.abc import Sequence

import numpy as np

from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.head import Head
from services.nn_shard.engine.incoming import Incoming, newest_of
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.segment_tasks import Task
from services.nn_shard.engine.view import View, without


class Published:
    """view: what a search takes, whole, without a lock. Everything else is for the writer thread, but `install`.

    fit: of the last head that was a quarter full or more, how well its rows fit the codebook's lists.
    """

    def __init__(self, dim: int, segments: tuple[Part, ...], codebook: Codebook | None, seal_rows: int) -> None:
        self._dim, self._seal_rows = dim, seal_rows
        # Held for microseconds, by whoever replaces the view.
        self._lock = threading.Lock()
        self.head = Head(dim, codebook)
        self.fit = math.inf
        self.view = View(segments, (), self.head.grown(None), codebook)

    def take_in(self, records: Sequence[Incoming]) -> int:
        """Publish what is newer than what is known of each picture, all at once. Returns how many changed something."""
        newest = newest_of(records)
        if not newest:
            return 0
        ids = np.fromiter(newest, np.int64, len(newest))
        known = self.view.newest(ids).tolist()
        fresh = [record for record, version in zip(newest.values(), known, strict=True) if record.version > version]
        if not fresh:
            return 0
        replaced = np.array([record.image_id for record, version in zip(newest.values(), known, strict=True)
                             if 0 <= version < record.version], np.int64)  # fmt: skip
        with self._lock:
            view = self.view
            segments, frozen, head = view.segments, view.frozen, view.head
            if len(replaced):
                segments, frozen = without(segments, replaced), without(frozen, replaced)
                head = without([head], replaced)[0]
            self.head.append([record for record in fresh if not record.deleted])
            self.view = View(segments, frozen, self.head.grown(head), view.codebook)
            # Last: whoever finds the delete here, as a receipt does, must not find the picture any more.
            for record in fresh:
                if record.deleted:
                    self.head.bury(record.image_id, record.version)
        return len(fresh)

    def new_head(self, codebook: Codebook | None) -> None:
        """Freeze the head, if there is anything in it; rows to come are in lists of this codebook."""
        head = self.head
        if head.codebook is not None and 4 * len(head) >= self._seal_rows:
            self.fit = head.fit / len(head)
        with self._lock:
            view = self.view
            frozen = (*view.frozen, view.head) if len(head) or head.deletes else view.frozen
            self.head = Head(self._dim, codebook)
            self.view = View(view.segments, frozen, self.head.grown(None), codebook)

    def install(self, task: Task, new: Part) -> None:
        """Put the segment in the place of what it was made of; deletes that came meanwhile are carried over."""
        names = {part.store.name for part in task.inputs}
        with self._lock:
            view = self.view
            now = {part.store.name: part for part in (*view.segments, *view.frozen) if part.store.name in names}
            for before in task.inputs:
                gone = np.flatnonzero(before.live_mask() & ~now[before.store.name].live_mask())
                ids = before.columns.ids[np.unique(before.columns.row_pictures[gone])]
                new = without([new], ids)[0]
            segments = tuple(part for part in view.segments if part.store.name not in names)
            frozen = tuple(part for part in view.frozen if part.store.name not in names)
            self.view = View((*segments, new), frozen, view.head, view.codebook)

    def clear(self) -> None:
        """Forget everything."""
        self.head = Head(self._dim, None)
        self.view = View((), (), self.head.grown(None), None)

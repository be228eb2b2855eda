"""Engine: what the rest of the shard calls."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omma.drift import Drift
from omma.errors import InvalidQuery, WrongSpace, WrongState
from omma.hits import FetchedPicture, ShardHits
from omma.identity import ImageId, Tenant
from omma.index import IndexId
from omma.records import VectorRecord
from omma.space import SpaceId
from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.drift import drift_of, proposal
from services.nn_shard.engine.files import SegmentFiles
from services.nn_shard.engine.gpu import gpu_present
from services.nn_shard.engine.incoming import Incoming, incoming_of, not_unit
from services.nn_shard.engine.manifest import Checkpoint, read_manifest
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.publishing import Published
from services.nn_shard.engine.reading import fetch, pictures, sample, version_of
from services.nn_shard.engine.search import Searcher, degraded
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.segment_tasks import ALL_WORK, Task, Work, holder_of, plan
from services.nn_shard.engine.segment_writer import Abandoned
from services.nn_shard.engine.selection import Selector
from services.nn_shard.engine.view import Counts, View
from services.nn_shard.engine_settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment between two applies: what was applied before it lies in segments and in these heads."""

    heads: tuple[str, ...]


class Engine:
    """Vectors of one shard of one index: a head of recent rows and sealed segments, searched as one."""

    def __init__(
        self,
        files: SegmentFiles,
        *,
        dim: int,
        space: SpaceId,
        index: IndexId,
        settings: EngineSettings,
        clock: Callable[[], float],
        codebook: Codebook | None,
        segments: tuple[Part, ...],
        stamp: Mapping[str, Any],
        dropped: tuple[str, ...],
    ) -> None:
        """Use `open`."""
        self.dim, self.space, self.index, self.settings = dim, space, index, settings
        self._files, self._stamp, self._dropped = files, stamp, dropped
        selector = Selector(settings.exact_rows, settings.filter_cache_bytes)
        self._searcher = Searcher(dim, settings.min_candidates, selector, clock)
        self._retired = threading.Event()
        self._published = Published(dim, segments, codebook, settings.seal_rows)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        dim: int,
        space: SpaceId,
        index: IndexId,
        settings: EngineSettings,
        codebook: Codebook | None = None,
        clock: Callable[[], float] = time.monotonic,
        verified: bool = False,
    ) -> "Engine":
        """Load what the folder's `manifest.json` lists; an absent manifest is an empty engine.

        Every file is hashed and compared, unless verified says that this was done just now, or Seen that it was done
        and nobody wrote it since. A segment that fails is left out and named in `dropped_segments`: its pictures are
        then missing until the owner replays the log from the start. codebook: the one that `read_manifest(folder)`
        names. clock: seconds, monotonic, that deadlines are on.
        Raises Corrupt for a manifest that cannot be read, WrongSpace for one of another space, dim or index,
        WrongState when the manifest names a codebook and another one or none is given.
        """
        manifest = read_manifest(folder)
        if manifest is None:
            manifest = Checkpoint(space, index, dim, None, (), {})
        if codebook is not None and codebook.dim != dim:
            raise WrongSpace(f"The codebook is for {codebook.dim} dimensions, not {dim}.", field="codebook")
        if (manifest.space, manifest.index, manifest.dim) != (space, index, dim):
            raise WrongSpace(f"{folder.name} holds index {manifest.index} of space {manifest.space}.", field="index")
        if manifest.codebook is not None and (codebook is None or codebook.id != manifest.codebook):
            raise WrongState(f"The segments need the codebook {manifest.codebook}.", field="codebook")
        files = SegmentFiles(folder)
        opened = files.open(manifest.segments, codebook, verified=verified)
        engine = cls(
            files,
            dim=dim,
            space=space,
            index=index,
            settings=settings,
            clock=clock,
            codebook=codebook,
            segments=tuple(part for part in opened if part is not None),
            stamp=manifest.stamp,
            dropped=tuple(each.name for each, part in zip(manifest.segments, opened, strict=True) if part is None),
        )
        for part in engine._view.segments:
            engine._accelerate(part)
        files.clear(engine._view.segments)
        return engine

    @property
    def _view(self) -> View:
        return self._published.view

    @property
    def stamp(self) -> Mapping[str, Any]:
        """What the last checkpoint was given as stamp; empty for a new folder."""
        return self._stamp

    @property
    def dropped_segments(self) -> tuple[str, ...]:
        """Names of the segments that `open` found corrupt. Not empty: replay the log from the start."""
        return self._dropped

    @property
    def left_behind(self) -> bool:
        """A segment that nothing needs could not be removed by the last checkpoint; the next one tries again."""
        return self._files.left_behind

    @property
    def codebook(self) -> Codebook | None:
        """The one in use; None while search is exact."""
        return self._view.codebook

    @property
    def rebuild_proposed(self) -> str | None:
        """Why a rebuild as a new index would help; None while it would not."""
        return proposal(self._view, self._published.fit, self.settings)

    def drift(self) -> Drift | None:
        """How well the codebook fits; None while there is none. Reads some hundred rows from disk; any thread."""
        return drift_of(self._view, self._published.fit, self.settings)

    @property
    def some_private(self) -> bool:
        """Whether a picture in it is private, live or not; true before one can be found. Any thread."""
        return any(part.store.some_private for part in self._view.everything())

    def counts(self) -> Counts:
        """Live rows and pictures, dead rows, head rows, segments. Cheap; any thread."""
        return self._view.counts

    def apply(self, records: Sequence[VectorRecord]) -> int:
        """Make records searchable, all at once: a search sees all of them or none. Returns how many changed something.

        A picture's higher version wins; an equal or lower one is ignored, so that replaying is harmless. A deleted
        record hides the picture and is remembered. Writer thread only. Does not block on disk.
        Raises WrongSpace for a record of another space, InvalidQuery for one that no engine can hold, such as with
        vectors of another dim or of no length; then nothing changed.
        """
        taken = [incoming_of(record, self.space, self.dim) for record in records]
        if not_unit(taken, self.dim):
            raise InvalidQuery("A picture's vectors are finite and of length 1.", field="vector")
        return self.take_in(taken)

    def take_in(self, records: Sequence[Incoming]) -> int:
        """As `apply`, of records that `incoming` has made for this space and dim and `not_unit` finds no fault with."""
        changed = self._published.take_in(records)
        if len(self._published.head) >= self.settings.seal_rows:
            self.freeze()
        return changed

    def search(self, queries: Float32, options: SearchOptions, deadline_at: float) -> list[ShardHits]:
        """The k best pictures for each row of queries: float32[b, dim], L2-normalised.

        Scores are exact inner products with the float16 originals; equal scores order by id. deadline_at: on the
        engine's clock; past it the remaining candidates keep their PQ estimate and the answer says RESCORE_CUT.
        Any thread; FAISS releases the GIL. Raises InvalidQuery for a wrong shape.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise InvalidQuery(f"A query must have {self.dim} dimensions.", field="vector")
        view = self._view
        outcome = self._searcher.search(view, np.ascontiguousarray(queries, np.float32), options, deadline_at)
        live, left_out = view.counts.live, degraded(outcome.cut)
        stages = outcome.stage_us if options.explain else {}
        return [
            ShardHits(hits, self.index, self.space, live, left_out, outcome.lists_probed, candidates, stages)
            for hits, candidates in zip(outcome.hits, outcome.candidates, strict=True)
        ]

    def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId]) -> list[FetchedPicture]:
        """Live pictures by id, in the order asked; absent ones and other tenants' are left out. Any thread."""
        return fetch(self._view, tenant, np.array(ids, np.int64))

    def pictures(self) -> tuple[Int64, Int64]:
        """Ids and versions of all live pictures, int64[n] each, in no order. Any thread; 10 ms a million."""
        return pictures(self._view)

    def version_of(self, image_id: int, tenant: Tenant | None = None) -> int | None:
        """The newest version applied, also when it was a delete; None when the picture was never seen.

        tenant: another tenant's live picture was never seen. A deleted one has no tenant any more.
        """
        return version_of(self._view, image_id, tenant)

    def sample(self, rows: int, seed: int = 0) -> Iterator[Float16]:
        """At most `rows` live originals, drawn at random without replacement: float16[n, dim], some thousands at a
        time. Reads disk.
        """
        return sample(self._view.parts, rows, seed)

    def adopt_codebook(self, codebook: Codebook) -> None:
        """Encode new rows with it from now on, and older ones by the tasks that `plan` then gives. Writer thread.

        The same one again is ignored. Raises WrongState when another one is in use, WrongSpace for another dim.
        """
        if codebook.dim != self.dim:
            raise WrongSpace(f"The codebook is for {codebook.dim} dimensions, not {self.dim}.", field="codebook")
        if self.codebook is not None:
            if self.codebook.id != codebook.id:
                raise WrongState("This index has a codebook; another one is another index.", field="codebook")
            return
        self._published.new_head(codebook)

    def plan(self, kinds: Collection[Work] = ALL_WORK, *, patient: bool = False) -> Task | None:
        """The next piece of maintenance: sealing a full head, encoding, merging; None when there is none.

        kinds: sealing may run beside the others, each a task at a time. patient: nobody searches yet; only as many
        segments as one merge takes are merged.
        """
        return self._planned(kinds, patient=patient)

    def retire(self) -> None:
        """Its files are to go: tasks under way and later ones are abandoned. Any thread."""
        self._retired.set()

    def erase(self, image_ids: Sequence[ImageId]) -> bool:
        """Rewrite each segment that holds rows of these pictures; False while one of them lives: its delete is to come.

        The files that held them go with the next checkpoint. On the thread that merges, after a checkpoint that began
        since the deletes were applied: a sealing under way knows nothing of them. Blocks on disk. Raises Abandoned.
        """
        ids = np.array(image_ids, np.int64)
        if any(self._view.find(ids)):
            return False
        while part := holder_of(self._view, ids):
            task = Task(Work.MERGE, (part,), self._files.segments, self.dim, self._view.codebook, self._retired)
            task.run()
            self.install(task)
        return True

    def install(self, task: Task) -> None:
        """Publish what the task has built. Short; the deletes that came meanwhile are carried over."""
        if task.built is None:
            raise WrongState("A task is run before it is installed.")
        new = task.built.part()
        self._accelerate(new)
        self._published.install(task, new)
        self._files.installed(new)

    def freeze(self) -> Cut:
        """Close the head, so that everything applied so far can be sealed. Writer thread; microseconds.

        Take the log's offsets at the same moment: a checkpoint of this cut holds all that was applied before it.
        """
        head = self._published.head
        if len(head) or head.deletes:
            self._published.new_head(head.codebook)
        return Cut(tuple(part.store.name for part in self._view.frozen))

    def checkpoint(self, cut: Cut, stamp: Mapping[str, Any]) -> Checkpoint:
        """Seal what the cut needs, write `manifest.json` durably with stamp in it, and return what it says.

        Files under the folder that the checkpoint names stay until the next one. The thread that seals; blocks on disk.
        Deletes applied after the cut may be in it already: replaying them changes nothing. Raises Abandoned once
        retired.
        """
        if self._retired.is_set():
            raise Abandoned
        while any(part.store.name in cut.heads for part in self._view.frozen):
            task = self._planned({Work.SEAL})
            assert task is not None, "a frozen head is always planned for"
            task.run()
            self.install(task)
        view = self._view
        codebook = view.codebook.id if view.codebook else None
        segments = tuple(self._files.sum(part) for part in view.segments)
        made = Checkpoint(self.space, self.index, self.dim, codebook, segments, dict(stamp))
        self._files.write(made)
        self._stamp = made.stamp
        self._files.sweep(lambda: self._view.segments)
        return made

    def close(self) -> None:
        """Forget everything; files are unmapped with the last reference. No search may be running."""
        self._published.clear()

    def _planned(self, kinds: Collection[Work], *, patient: bool = False) -> Task | None:
        view = self._view
        work = plan(view, self.settings, kinds, patient=patient)
        return None if work is None else Task(*work, self._files.segments, self.dim, view.codebook, self._retired)

    def _accelerate(self, part: Part) -> None:
        if self.settings.gpu and gpu_present() and isinstance(part.store, Segment):
            part.store.clone_to_gpu()

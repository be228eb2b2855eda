"""Engine: what the rest of the shard calls."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omma.hits import ShardHits
from omma.identity import ImageId, Tenant
from omma.index import IndexId
from omma.records import VectorRecord
from omma.space import SpaceId
from omma.vectors import Float32
from services.nn_shard.client import FetchedPicture
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.manifest import Checkpoint
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.settings import EngineSettings
from services.nn_shard.engine.view import Counts


class Engine:
    """Vectors of one shard of one index: a head of recent rows and sealed segments, searched as one."""

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
    ) -> "Engine":
        """Load what the folder's `manifest.json` lists; an absent manifest is an empty engine.

        Every file is hashed and compared. A segment that fails is left out and named in `dropped_segments`: its pictures
        are then missing until the owner replays the log from the start. codebook: the one of the manifest's
        `codebook` (see `manifest_of`). clock: seconds, monotonic, that deadlines are on.
        Raises Corrupt for a manifest that cannot be read, WrongSpace for one of another space, dim or index,
        WrongState when the manifest names a codebook and another one or none is given.
        """
        raise NotImplementedError

    @property
    def stamp(self) -> Mapping[str, Any]:
        """What the last checkpoint was given as stamp; empty for a new folder."""
        raise NotImplementedError

    @property
    def dropped_segments(self) -> tuple[str, ...]:
        """Names of the segments that `open` found corrupt. Not empty: replay the log from the start."""
        raise NotImplementedError

    @property
    def codebook(self) -> Codebook | None:
        raise NotImplementedError

    @property
    def rebuild_proposed(self) -> str | None:
        """Why a rebuild as a new index would help (rows past 8 x the training rows, or drift); None while it would not."""
        raise NotImplementedError

    def counts(self) -> Counts:
        """Live rows and pictures, dead rows, head rows, segments. Cheap; any thread."""
        raise NotImplementedError

    def apply(self, records: Sequence[VectorRecord]) -> int:
        """Make records searchable, all at once: a search sees all of them or none. Returns how many changed something.

        A picture's higher version wins; an equal or lower one is ignored, so that replaying is harmless. A deleted
        record hides the picture and is remembered. Writer thread only. Does not block on disk.
        Raises WrongSpace for a record of another space, InvalidQuery for vectors of another dim; then nothing changed.
        """
        raise NotImplementedError

    def search(self, queries: Float32, options: SearchOptions, deadline_at: float) -> list[ShardHits]:
        """The k best pictures for each row of queries: float32[b, dim], L2-normalised.

        Scores are exact inner products with the float16 originals; equal scores order by id. deadline_at: on the
        engine's clock; past it the remaining candidates keep their PQ estimate and the answer says RESCORE_CUT.
        Any thread; FAISS releases the GIL. Raises InvalidQuery for a wrong shape.
        """
        raise NotImplementedError

    def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId]) -> list[FetchedPicture]:
        """Live pictures by id, in the order asked; absent ones and other tenants' are left out. Any thread."""
        raise NotImplementedError

    def version_of(self, image_id: int) -> int | None:
        """The newest version applied, also when it was a delete; None when the picture was never seen."""
        raise NotImplementedError

    def sample(self, rows: int, seed: int = 0) -> Float32:
        """At most `rows` live originals, float32[n, dim], drawn at random without replacement. Reads disk."""
        raise NotImplementedError

    def adopt_codebook(self, codebook: Codebook) -> None:
        """Encode new rows with it from now on, and older ones by the tasks that `plan` then gives. Writer thread.

        The same one again is ignored. Raises WrongState when another one is in use, WrongSpace for another dim.
        """
        raise NotImplementedError

    def plan(self) -> "Task | None":
        """The next piece of maintenance: sealing a full head, encoding, merging, tuning; None when there is none."""
        raise NotImplementedError

    def install(self, task: "Task") -> None:
        """Publish what the task has built. Short; the deletes that came meanwhile are carried over."""
        raise NotImplementedError

    def freeze(self) -> "Cut":
        """Close the head, so that everything applied so far can be sealed. Writer thread; microseconds.

        Take the log's offsets at the same moment: a checkpoint of this cut holds exactly what was applied before it.
        """
        raise NotImplementedError

    def checkpoint(self, cut: "Cut", stamp: Mapping[str, Any]) -> Checkpoint:
        """Seal what the cut needs, write `manifest.json` durably with stamp in it, and return what it says.

        Files under `folder` that the checkpoint names stay until the next checkpoint. Maintenance thread; blocks on disk.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Unmap the files. No search may be running."""
        raise NotImplementedError

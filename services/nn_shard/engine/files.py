"""The engine's folder: which segments lie in it, their checksums, and what may go."""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from omma.errors import Corrupt, causes
from services.nn_shard.engine.arrayfile import sync_folder
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.manifest import (
    DAMAGE,
    MANIFEST,
    Checkpoint,
    FileSum,
    SegmentSum,
    dead_text,
    write_manifest,
)
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.seen import Seen
from services.nn_shard.engine.segment import Segment, dead_rows

SEGMENTS: Final = "segments"

logger = logging.getLogger(__name__)


def discard(folder: Path) -> None:
    """Remove an engine's folder, or whatever has its name; nothing when it is absent. Blocks.

    The manifest goes first: whenever this process dies, what is left is an engine with all its files, or none.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        (folder / MANIFEST).unlink(missing_ok=True)
        sync_folder(folder)
        shutil.rmtree(folder)


class SegmentFiles:
    """`segments/<name>/` below the engine's folder. After `open` the thread that writes checkpoints only, but for
    `installed`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments = folder / SEGMENTS
        self.segments.mkdir(parents=True, exist_ok=True)
        self._seen = Seen(folder)
        self._sums: dict[str, SegmentSum] = {}
        self._named: frozenset[str] = frozenset()
        self._there: set[str] = set()
        self.left_behind = False
        """Of the last sweep: a segment that nothing needs could not be removed; the next one tries again."""

    def open(
        self, sums: Sequence[SegmentSum], codebook: Codebook | None, *, verified: bool = False
    ) -> list[Part | None]:
        """Each segment as a part, None for one that is damaged; the log says why. Hashes every file, on two threads,
        but for those that Seen holds; none when verified.
        """
        self._sums = {one.name: one for one in sums}
        self._named = frozenset(self._sums)
        with ThreadPoolExecutor(max_workers=2) as pool:
            parts = list(pool.map(lambda one: self._open(one, codebook, verified), sums))
        whole = [file for one, part in zip(sums, parts, strict=True) if part is not None for file in one.files]
        if verified:
            self._seen.take(whole)
        self._seen.keep(whole)
        return parts

    def sum(self, part: Part) -> SegmentSum:
        """Checksums of a sealed part, hashed once, and its rows that are dead now."""
        name = part.store.name
        known = self._sums.get(name)
        files = known.files if known else self._hash(name)
        summed = SegmentSum(name, part.rows, files, dead_text(dead_rows(part)))
        self._sums[name] = summed
        return summed

    def write(self, checkpoint: Checkpoint) -> None:
        """Make it the folder's manifest, durably."""
        write_manifest(self.folder, checkpoint)
        self._seen.keep(checkpoint.files())
        self._named = frozenset(segment.name for segment in checkpoint.segments)

    def installed(self, part: Part) -> None:
        """A segment that is among the engine's parts by now. Any thread."""
        self._there.add(part.store.name)

    def sweep(self, parts: Callable[[], Iterable[Part]]) -> None:
        """Remove the segments that neither the manifest nor a part needs. A search under way keeps what it has mapped.

        parts: as they are when it is called. What is being written is not there yet, so it stays.
        """
        there = frozenset(self._there)
        used = self._named | {part.store.name for part in parts()}
        self._sums = {name: known for name, known in self._sums.items() if name in used}
        for name in there - used:
            if self._remove(name):
                self._there.discard(name)
        self.left_behind = bool((there - used) & self._there)

    def clear(self, parts: Iterable[Part]) -> None:
        """Remove whatever is no segment of these: what a death left. Before any other is written."""
        self._there = {part.store.name for part in parts}
        for path in self.segments.iterdir():
            if path.name not in self._there | self._named and not self._remove(path.name):
                self._there.add(path.name)

    def _remove(self, name: str) -> bool:
        """False where the disk does not let go of it: that keeps no state from being written, and no shard from
        loading.
        """
        path = self.segments / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            logger.warning("Segment %s is not needed and stays on the disk: %s", name, causes(error))
            return False
        return True

    def _open(self, summed: SegmentSum, codebook: Codebook | None, verified: bool) -> Part | None:
        try:
            for file in () if verified else summed.files:
                self._seen.verify(file)
            return Segment(self.segments / summed.name, codebook).part(summed.dead_rows())
        except (Corrupt, ValueError, LookupError, TypeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in DAMAGE:
                raise
            logger.error("Segment %s is not used: %s", summed.name, causes(error))
            return None

    def _hash(self, name: str) -> tuple[FileSum, ...]:
        return tuple(self._seen.sum(file) for file in sorted((self.segments / name).iterdir()))

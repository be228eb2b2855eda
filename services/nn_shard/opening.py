"""Where a replica starts from: its files, else a snapshot, else nothing; never with a gap before the log goes on."""

import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from omma.errors import Corrupt, OmmaError, WrongSpace, WrongState
from omma.index import IndexId
from omma.space import Space
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_CORRUPT_FILES
from services.nn_shard.checkpoint import Source, Stamp
from services.nn_shard.engine import Checkpoint, Codebook, Engine, EngineSettings, discard, read_manifest
from services.nn_shard.snapshot import Snapshots, part_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """next_offsets: by owned bucket, where to read the log from."""

    engine: Engine
    next_offsets: dict[int, int]


@dataclass(frozen=True, slots=True)
class Opening:
    """What every way of opening needs. folder: the engine's. beginning, end: offsets of the log, by bucket."""

    folder: Path
    space: Space
    index: IndexId
    settings: EngineSettings
    codebook: Codebook | None
    source: Source
    beginning: Mapping[int, int]
    end: Mapping[int, int]

    async def open(self, snapshots: Snapshots, executor: Executor) -> Opened:
        """From the folder, else a snapshot, else empty and from the log's beginning. Files of no use are removed."""
        opened = await run_in(executor, self.open_files)
        if opened is not None:
            await run_in(executor, discard, part_of(self.folder))
        elif await snapshots.restore(self.folder, self.require):
            opened = await run_in(executor, self.open_files, verified=True)
        if opened is None:
            opened = await run_in(executor, self.open_empty)
        return opened

    def require(self, checkpoint: Checkpoint) -> None:
        """Raises Corrupt, saying why, unless this shard can go on from the checkpoint."""
        Stamp.from_json(checkpoint.stamp).require(self.source, self.beginning, self.end)
        wanted = None if self.codebook is None else self.codebook.id
        if checkpoint.codebook not in (None, wanted):
            raise Corrupt(f"It is encoded with codebook {checkpoint.codebook}, the index has {wanted}.")

    def open_files(self, *, verified: bool = False) -> Opened | None:
        """None when there are none, or none of use: those are removed, and the log says why. Blocks.

        verified: every file has just been hashed, as a restore does.
        """
        try:
            checkpoint = read_manifest(self.folder)
            if checkpoint is None:
                return None
            self.require(checkpoint)
            engine = self._engine(None if checkpoint.codebook is None else self.codebook, verified=verified)
            opened = Opened(engine, dict(Stamp.from_json(checkpoint.stamp).next_offsets))
        except (Corrupt, WrongSpace, WrongState) as error:
            self._say_replay(error)
            discard(self.folder)
            return None
        dropped = opened.engine.dropped_segments
        if not dropped:
            return opened
        SHARD_CORRUPT_FILES.inc(len(dropped))
        logger.error("Segments %s are damaged; their pictures are rebuilt from the log", ", ".join(dropped))
        return Opened(opened.engine, self._from_beginning())

    def open_empty(self) -> Opened:
        """Nothing but what the log will bring. Removes the folder. Blocks."""
        discard(self.folder)
        self.folder.mkdir(parents=True)
        return Opened(self._engine(None), self._from_beginning())

    def _engine(self, recorded: Codebook | None, *, verified: bool = False) -> Engine:
        engine = Engine.open(
            self.folder,
            dim=self.space.dim,
            space=self.space.id,
            index=self.index,
            settings=self.settings,
            codebook=recorded,
            verified=verified,
        )
        if self.codebook is not None:
            engine.adopt_codebook(self.codebook)
        return engine

    def _from_beginning(self) -> dict[int, int]:
        return {bucket: self.beginning.get(bucket, 0) for bucket in self.source.owned}

    def _say_replay(self, error: OmmaError) -> None:
        logger.warning("Files in %s are not used, the log is replayed: %s", self.folder, error.detail)

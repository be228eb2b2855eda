"""Omma's engine over a data set: built as the shard builds it, and kept until the code that wrote it changes."""

import hashlib
import inspect
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loadtests.bench import vectors
from omma.hits import Payload
from omma.identity import DEFAULT_TENANT, ImageId, Version
from omma.index import DEFAULT_FACTORY, IndexId
from omma.records import VectorRecord
from omma.space import SpaceId
from services.nn_shard.engine import Codebook, Engine, EngineSettings
from services.nn_shard.engine import codebook as codebook_module
from services.nn_shard.training.fitting import planned_rows, sample_rows, train_codebook

SPACE = SpaceId("bench-1-00000000")
INDEX = IndexId(f"{SPACE}.1")
BLOCK = 4_096
_BOX = np.array([[0, 0, 224, 224]], np.int32)
_ENGINE = Path(inspect.getfile(codebook_module)).parent
_TRAINING = ("codebook.py", "tuning.py", "../training/fitting.py", "../training/measuring.py")


def records(
    rows: vectors.Float32, ids: Sequence[int], version: int = 1, *, payload: Payload | None = None
) -> list[VectorRecord]:
    """One region a picture, pHashes far apart. payload: the same for all; None: one that names picture and owner."""
    half = np.asarray(rows, np.float16)
    return [
        VectorRecord(
            ImageId(one), Version(version), DEFAULT_TENANT, SPACE, half[at : at + 1], _BOX,
            phash=one * 0x9E3779B97F4A7C15 % 2**64,
            payload=payload or Payload(uri=f"file:///pictures/{one}.jpg", owner=owner_of(one)),
        )
        for at, one in enumerate(ids)
    ]  # fmt: skip


def owner_of(image_id: int) -> str:
    """One of a hundred: what the filters of the served measure ask for."""
    return f"tenant-{image_id % 100:02d}"


def built(data: vectors.DataSet, settings: EngineSettings) -> Engine:
    """Every row of base as the picture row + 1, sealed and merged, checkpointed; only opened when it is there."""
    codebook = trained(data)
    files = sorted(path.name for path in _ENGINE.glob("*.py"))
    mark = _fingerprint(files) + codebook.id[:12] + hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:8]
    home = vectors.cache() / data.name / "omma" / "engine"
    if not (home / mark).exists():
        shutil.rmtree(home, ignore_errors=True)
        engine = opened(home / "index", data, settings, codebook)
        fill(engine, data.base, np.arange(1, len(data.base) + 1))
        engine.freeze()
        maintain(engine)
        engine.checkpoint(engine.freeze(), {})
        (home / mark).touch()
        engine.close()
    return opened(home / "index", data, settings, codebook)


def opened(folder: Path, data: vectors.DataSet, settings: EngineSettings, codebook: Codebook | None) -> Engine:
    return Engine.open(
        folder, dim=data.base.shape[1], space=SPACE, index=INDEX, settings=settings, codebook=codebook
    )  # fmt: skip


def fill(engine: Engine, rows: vectors.Float32, ids: vectors.Int64) -> None:
    """Apply these pictures, sealing and merging on the way as the shard's maintenance would."""
    for start in range(0, len(rows), BLOCK):
        engine.apply(records(rows[start : start + BLOCK], ids[start : start + BLOCK].tolist()))
        maintain(engine)


def maintain(engine: Engine) -> None:
    while (task := engine.plan()) is not None:
        task.run()
        engine.install(task)


def trained(data: vectors.DataSet) -> Codebook:
    """The codebook that the trainer would make for a shard that holds this data set."""
    file = vectors.cache() / data.name / "omma" / f"codebook-{_fingerprint(_TRAINING)}"
    if not file.exists():
        start = time.perf_counter()
        planned = planned_rows(len(data.base), EngineSettings())
        chosen = np.random.default_rng(0).permutation(len(data.base))[: sample_rows(planned)]
        sample = np.ascontiguousarray(data.base[np.sort(chosen)])
        codebook = train_codebook(sample, DEFAULT_FACTORY, planned_rows=planned)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(codebook.to_bytes())
        print(f"trained a codebook in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return Codebook.load(file)


def faiss_bytes(codebook: Codebook) -> bytes:
    """The trained, empty FAISS index within the codebook, as faiss.write_index would write it."""
    content = codebook.to_bytes()
    return content[16 + int.from_bytes(content[8:16], "little") :]


def _fingerprint(files: Sequence[str]) -> str:
    return hashlib.sha256(b"".join((_ENGINE / name).read_bytes() for name in files)).hexdigest()[:12]

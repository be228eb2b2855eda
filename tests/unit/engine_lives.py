"""Records, engines and brute force for the tests of the engine."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from omma.hits import Payload
from omma.identity import ImageId, Tenant, Version
from omma.index import IndexId
from omma.records import VectorRecord, deleted_record
from omma.space import SpaceId
from omma.vectors import Float32, Int64, normalise
from services.nn_shard.engine import Codebook, Engine, EngineSettings
from services.nn_shard.engine.manifest import read_manifest, write_manifest

DIM = 16
SPACE, INDEX = SpaceId("s-1-00000000"), IndexId("s-1-00000000.1")
TENANT = Tenant("ann")
SETTINGS = EngineSettings(seal_rows=64, exact_rows=16)


def far() -> float:
    return time.monotonic() + 60


def clustered(rows: int, seed: int, dim: int = DIM) -> Float32:
    """Rows around 40 centres, as embeddings of real pictures lie."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, dim))
    return normalise(centres[rng.integers(0, 40, rows)] + 0.4 * rng.normal(size=(rows, dim)))


def record(image_id: int, vectors: Float32, version: int = 1, tenant: str = TENANT, **known: object) -> VectorRecord:
    rows = np.atleast_2d(vectors).astype(np.float16)
    boxes = np.array([[0, 0, 10 + at, 20] for at in range(len(rows))], np.int32)
    payload = Payload(uri=f"file:///{image_id}@{version}", **known)  # type: ignore[arg-type]
    return VectorRecord(
        ImageId(image_id), Version(version), Tenant(tenant), SPACE, rows, boxes, phash=image_id, payload=payload
    )


def gone(image_id: int, version: int) -> VectorRecord:
    return deleted_record(ImageId(image_id), Version(version), TENANT, SPACE, DIM)


def opened(folder: Path, codebook: Codebook | None = None, **changed: object) -> Engine:
    chosen = SETTINGS.model_copy(update=changed)
    return Engine.open(folder, dim=DIM, space=SPACE, index=INDEX, settings=chosen, codebook=codebook)


def maintain(engine: Engine) -> None:
    while (task := engine.plan()) is not None:
        task.run()
        engine.install(task)


def nearest(queries: Float32, rows: Float32, k: int) -> Int64:
    """int64[q, k]: positions of the exact nearest rows."""
    return np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :k]


def as_of_an_earlier_version(folder: Path, absent: str) -> None:
    """Take this file out of the only segment of the engine in the folder."""
    manifest = read_manifest(folder)
    assert manifest is not None
    (segment,) = manifest.segments
    older = tuple(file for file in segment.files if not file.path.endswith(f"/{absent}"))
    assert len(older) == len(segment.files) - 1
    write_manifest(folder, replace(manifest, segments=(replace(segment, files=older),)))
    (folder / "segments" / segment.name / absent).unlink()

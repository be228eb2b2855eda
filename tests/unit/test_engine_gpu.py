"""The code that searches clones on a GPU, over CPU indexes: they have the Python wrapper that GPU indexes have."""

import threading
from pathlib import Path

import numpy as np
import pytest

from omma.hits import Hits
from omma.identity import ImageId
from services.nn_shard.engine import Codebook, Engine, SearchOptions
from services.nn_shard.engine.gpu import GpuClone
from services.nn_shard.engine.segment import Segment
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import TENANT, clustered, far, gone, opened, record

ROWS = clustered(900, seed=5)


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return train_codebook(ROWS, "OPQ8_16,IVF16,PQ8x8")


@pytest.fixture
def engine(tmp_path: Path, codebook: Codebook) -> Engine:
    engine = opened(tmp_path, codebook, seal_rows=4_096, exact_rows=0, merge_ratio=1.0)
    for half in (range(450), range(450, 900)):
        engine.apply([record(i + 1, ROWS[i]) for i in half])
        engine.freeze()
        task = engine.plan()
        assert task is not None
        task.run()
        engine.install(task)
    return engine


def cloned(engine: Engine) -> list[Segment]:
    """As `clone_to_gpu` does, with the segment's own index in place of its copy on a GPU."""
    segments = [part.store for part in engine._view.segments]
    turn = threading.Lock()
    for segment in segments:
        assert isinstance(segment, Segment)
        segment.clone = GpuClone(segment._searcher, turn)
    return [segment for segment in segments if isinstance(segment, Segment)]


def found(engine: Engine, k: int, effort: int = 0) -> list[Hits]:
    queries = clustered(7, seed=3)
    return [one.hits for one in engine.search(queries, SearchOptions(TENANT, k, effort=effort), far())]


@pytest.mark.parametrize("dead", [0, 60])
@pytest.mark.parametrize(("k", "effort"), [(1, 1), (10, 0), (100, 10)])
def test_a_clone_gives_what_the_segment_does(engine: Engine, dead: int, k: int, effort: int) -> None:
    engine.apply([gone(one, 2) for one in range(1, dead + 1)])
    plain = found(engine, k, effort)
    segments = cloned(engine)
    for segment in segments:  # so that nobody else answers
        segment.candidates = None  # type: ignore[assignment,method-assign]
    by_clones = found(engine, k, effort)
    for one, other in zip(plain, by_clones, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        np.testing.assert_array_equal(one.scores, other.scores)
    assert not {ImageId(one) for one in range(1, dead + 1)} & {id for one in by_clones for id in one.ids.tolist()}


def test_what_is_beyond_a_gpu_is_searched_beside_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = found(engine, 600)
    cloned(engine)

    def refuses(*_: object) -> None:
        raise AssertionError("it does not take so many")

    monkeypatch.setattr(GpuClone, "candidates", refuses)
    monkeypatch.setattr("services.nn_shard.engine.gpu.MOST", 300)
    assert [one.ids.tolist() for one in found(engine, 600)] == [one.ids.tolist() for one in plain]

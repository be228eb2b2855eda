"""Recall of the engine against exact search: fresh, after a life, under filters, after growth and rebuild."""

from pathlib import Path

import numpy as np
import pytest

from omma.filters import Filter, parse_filter
from omma.vectors import normalise
from services.nn_shard.engine import Codebook, Engine, EngineSettings, SearchOptions
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import (
    INDEX,
    SETTINGS,
    SPACE,
    TENANT,
    Float32,
    clustered,
    far,
    gone,
    maintain,
    nearest,
    record,
)

DIM, ROWS, K = 32, 12_000, 10
FACTORY = "OPQ16_32,IVF{nlist},PQ16x8"
KEEP = {"half": 0.5, "twentieth": 0.05, "thousandths": 0.005, "few": 0.0005}


def built(folder: Path, codebook: Codebook, **changed: object) -> Engine:
    chosen = EngineSettings(seal_rows=4_096).model_copy(update=changed)
    return Engine.open(folder, dim=DIM, space=SPACE, index=INDEX, settings=chosen, codebook=codebook)


def add(engine: Engine, rows: Float32, first: int = 0, version: int = 1) -> None:
    chance = np.random.default_rng(7).random(ROWS * 2)
    for begin in range(0, len(rows), 1_000):
        engine.apply(
            [
                record(
                    first + at + 1,
                    rows[at],
                    version,
                    owner=f"o{at % 5}",
                    tags=tuple(tag for tag, share in KEEP.items() if chance[first + at] < share),
                )
                for at in range(begin, min(begin + 1_000, len(rows)))
            ]
        )


def recall(engine: Engine, queries: Float32, rows: Float32, ids: np.ndarray, filter_: Filter | None = None) -> float:  # type: ignore[type-arg]
    """rows and their ids: what is live and kept by the filter."""
    true = ids[nearest(queries, rows, min(K, len(rows)))]
    answers = engine.search(queries, SearchOptions(TENANT, K, filter=filter_), far())
    found = [len(np.intersect1d(answer.hits.ids, one)) for answer, one in zip(answers, true, strict=True)]
    return sum(found) / true.size


@pytest.fixture(scope="module")
def rows() -> Float32:
    return clustered(ROWS, seed=1, dim=DIM)


@pytest.fixture(scope="module")
def queries() -> Float32:
    return clustered(200, seed=2, dim=DIM)


@pytest.fixture(scope="module")
def codebook(rows: Float32) -> Codebook:
    return train_codebook(rows[:4_000], FACTORY)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, codebook: Codebook, rows: Float32) -> Engine:
    # exact_rows=0: also selective filters go through the lists, where recall can be lost.
    engine = built(tmp_path_factory.mktemp("sealed"), codebook, exact_rows=0)
    add(engine, rows)
    engine.freeze()
    maintain(engine)
    return engine


def test_the_tuned_effort_reaches_its_recall(sealed: Engine, queries: Float32, rows: Float32) -> None:
    assert recall(sealed, queries, rows, np.arange(ROWS) + 1) >= 0.95
    assert sealed.search(queries[:1], SearchOptions(TENANT, K), far())[0].lists_probed < sealed.codebook.nlist / 2  # type: ignore[union-attr]


def test_effort_buys_recall(sealed: Engine, queries: Float32) -> None:
    probed = [
        sealed.search(queries[:1], SearchOptions(TENANT, K, effort=e), far())[0].lists_probed for e in range(1, 11)
    ]
    assert probed == sorted(probed)
    assert probed[0] < probed[4] < probed[9]


@pytest.mark.parametrize("tag", KEEP)
def test_recall_under_a_filter(sealed: Engine, queries: Float32, rows: Float32, tag: str) -> None:
    kept = np.random.default_rng(7).random(ROWS * 2)[:ROWS] < KEEP[tag]
    found = recall(sealed, queries, rows[kept], np.flatnonzero(kept) + 1, parse_filter({"tags": tag}))
    assert found >= 0.95


def test_a_filter_that_follows_the_clusters_costs_no_recall(
    tmp_path: Path, codebook: Codebook, rows: Float32, queries: Float32
) -> None:
    # Everything kept lies far from the queries: the nearest lists hold none of it.
    towards = rows @ queries[0]
    far_off = np.argsort(towards)[:300]
    engine = built(tmp_path, codebook, exact_rows=0)
    engine.apply([record(i + 1, rows[i], tags=("far",) if i in set(far_off.tolist()) else ()) for i in range(ROWS)])
    engine.freeze()
    maintain(engine)
    found = recall(engine, queries[:1], rows[far_off], far_off + 1, parse_filter({"tags": "far"}))
    assert found >= 0.9


def test_recall_after_deletes_updates_and_growth(tmp_path: Path, codebook: Codebook, queries: Float32) -> None:
    start, more = clustered(8_000, seed=3, dim=DIM), clustered(4_000, seed=4, dim=DIM)
    engine = built(tmp_path / "lived", codebook)
    add(engine, start)
    dead = np.random.default_rng(0).permutation(8_000)
    engine.apply([gone(int(i) + 1, 2) for i in dead[:2_400]])
    changed = start.copy()
    changed[dead[2_400:4_000]] = clustered(1_600, seed=5, dim=DIM)
    engine.apply([record(int(i) + 1, changed[i], 2) for i in dead[2_400:4_000]])
    add(engine, more, first=8_000)
    maintain(engine)
    ids = np.concatenate([np.sort(dead[2_400:]), np.arange(8_000, 12_000)]) + 1
    live = np.concatenate([changed, more])[ids - 1]
    fresh = built(tmp_path / "fresh", codebook)
    fresh.apply([record(int(i), row) for i, row in zip(ids, live, strict=True)])
    maintain(fresh)
    assert engine.counts().live == fresh.counts().live == len(ids)
    assert recall(engine, queries, live, ids) >= recall(fresh, queries, live, ids) - 0.01
    assert recall(engine, queries, live, ids) >= 0.95


def test_growth_proposes_a_rebuild_that_restores_recall(tmp_path: Path, rows: Float32, queries: Float32) -> None:
    small = train_codebook(rows[:600], FACTORY)
    engine = built(tmp_path / "grown", small)
    add(engine, rows[:600])
    assert engine.rebuild_proposed is None
    add(engine, rows[600:], first=600)
    assert "8 times" in str(engine.rebuild_proposed)
    rebuilt = built(tmp_path / "rebuilt", train_codebook(np.concatenate(list(engine.sample(4_000))), FACTORY))
    fresh = built(tmp_path / "fresh", train_codebook(rows[:4_000], FACTORY))
    for one in (rebuilt, fresh):
        add(one, rows)
        maintain(one)
        assert one.rebuild_proposed is None
    ids = np.arange(ROWS) + 1
    assert recall(rebuilt, queries, rows, ids) >= recall(fresh, queries, rows, ids) - 0.01


def test_drift_proposes_a_rebuild(tmp_path: Path, codebook: Codebook, rows: Float32) -> None:
    engine = built(tmp_path, codebook, seal_rows=1_000)
    add(engine, rows[:1_000])
    assert engine.rebuild_proposed is None
    first = engine.drift()
    assert first is not None and first.rebuild == ""
    assert first.train_rows == codebook.train_rows and 0.9 < first.recent_fit < 1.1
    elsewhere = normalise(np.random.default_rng(1).normal(size=(1_000, DIM)))
    add(engine, elsewhere, first=1_000)
    assert "fit" in str(engine.rebuild_proposed)
    drifted = engine.drift()
    assert drifted is not None and "fit" in drifted.rebuild
    assert drifted.recent_fit < 0.8 * first.recent_fit
    assert drifted.quantisation_error > 1.2 * first.quantisation_error > 0
    maintain(engine)
    sealed = engine.drift()
    assert sealed is not None and sealed.list_imbalance >= 1
    assert Engine.open(tmp_path / "new", dim=DIM, space=SPACE, index=INDEX, settings=SETTINGS).drift() is None


def test_exact_answers_do_not_depend_on_segments(
    sealed: Engine, tmp_path: Path, rows: Float32, queries: Float32
) -> None:
    other = Engine.open(tmp_path, dim=DIM, space=SPACE, index=INDEX, settings=SETTINGS)
    for begin in range(ROWS - 1_500, -1, -1_500):
        other.apply([record(at + 1, rows[at]) for at in range(begin, begin + 1_500)])
    options = SearchOptions(TENANT, K, exact=True)
    for one, two in zip(sealed.search(queries, options, far()), other.search(queries, options, far()), strict=True):
        assert one.hits.ids.tolist() == two.hits.ids.tolist()
        assert one.hits.scores.tobytes() == two.hits.scores.tobytes()

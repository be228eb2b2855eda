"""Equal scores order by id, however the rows came to lie: every replica of a shard gives the same answer."""

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.filters import parse_filter
from omma.hits import Hits
from omma.vectors import Float32, normalise
from services.nn_shard.engine import Codebook, Engine, SearchOptions
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import DIM, INDEX, SETTINGS, SPACE, TENANT, clustered, far, gone, maintain, opened, record

QUERY = np.eye(1, DIM, dtype=np.float32)


def at_cosine(cosine: float, other: int) -> Float32:
    """A vector with this score for QUERY; those of different others are far apart."""
    vector = np.zeros(DIM, np.float32)
    vector[0], vector[1 + other] = cosine, np.sqrt(1 - cosine * cosine)
    return vector


KINDS = np.stack([at_cosine(cosine, at) for at, cosine in enumerate((0.95, 0.75, 0.5, 0.25))])
EQUAL_KINDS = np.stack([at_cosine(0.6, at) for at in range(4)])
"""Different vectors that score the same."""


@pytest.fixture(scope="module", params=["IVF4,PQ8x8", "IVF4,PQ8x4fs"])
def codebook(request: pytest.FixtureRequest) -> Codebook:
    sample = np.concatenate([clustered(600, seed=6), *[np.tile(KINDS, (20, 1)), np.tile(EQUAL_KINDS, (20, 1))]])
    return train_codebook(normalise(sample), request.param)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    parent = tmp_path_factory.mktemp("ties")
    return (parent / str(number) for number in itertools.count())


@st.composite
def lives(draw: st.DrawFn) -> list[list[tuple[int, int, int]]]:
    """Batches of id, kind (-1 deletes), regions; after each the head is sealed or not."""
    ids = draw(st.permutations(range(1, 121)))
    kinds = [draw(st.sampled_from([0, 0, 1, 1, 1, 2, 3, -1])) for _ in ids]
    regions = [draw(st.sampled_from([1, 1, 1, 3])) for _ in ids]
    again = draw(st.lists(st.integers(1, 120), max_size=30))
    rows = list(zip(ids, kinds, regions, strict=True)) + [(one, draw(st.integers(-1, 3)), 1) for one in again]
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    return [rows[a:b] for a, b in itertools.pairwise([0, *cuts, len(rows)])]


def live(engine: Engine, batches: list[list[tuple[int, int, int]]], vectors: Float32) -> dict[int, tuple[int, int]]:
    """Play it; what must be there: kind and regions by id."""
    model: dict[int, tuple[int, int]] = {}
    versions = itertools.count(1)
    for number, batch in enumerate(batches):
        records = []
        for image_id, kind, regions in batch:
            version = next(versions)
            if kind < 0:
                records.append(gone(image_id, version))
                model.pop(image_id, None)
            else:
                tags = ("even",) if image_id % 2 == 0 else ()
                records.append(record(image_id, np.tile(vectors[kind], (regions, 1)), version, tags=tags))
                model[image_id] = (kind, regions)
        engine.apply(records)
        if number % 2 == 0:
            engine.checkpoint(engine.freeze(), {})
    return model


def naive(model: dict[int, tuple[int, int]], vectors: Float32, k: int, *, even: bool) -> list[int]:
    scored = [
        (-float(vectors[kind].astype(np.float16)[0]), image_id)
        for image_id, (kind, _) in model.items()
        if not even or image_id % 2 == 0
    ]
    return [image_id for _, image_id in sorted(scored)][:k]


@settings(max_examples=25, deadline=None)
@given(
    batches=lives(),
    k=st.sampled_from([1, 3, 7, 20, 60]),
    even=st.booleans(),
    crops=st.booleans(),
    exact=st.booleans(),
    coded=st.booleans(),
)
def test_ties_are_a_brute_forces(
    folders: Iterator[Path],
    codebook: Codebook,
    batches: list[list[tuple[int, int, int]]],
    k: int,
    even: bool,
    crops: bool,
    exact: bool,
    coded: bool,
) -> None:
    engine = opened(next(folders), codebook if coded else None, exact_rows=4, min_candidates=10)
    model = live(engine, batches, KINDS)
    options = SearchOptions(
        TENANT, k, filter=parse_filter({"tags": "even"} if even else None), exact=exact, use_crops=crops, effort=10
    )
    for answer in engine.search(np.repeat(QUERY, 3, 0), options, far()):
        assert answer.hits.ids.tolist() == naive(model, KINDS, k, even=even)


def of(engine: Engine, k: int, *, exact: bool) -> Hits:
    return engine.search(QUERY, SearchOptions(TENANT, k, exact=exact), far())[0].hits


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("k", [10, 50, 300])
def test_copies_in_three_segments_and_a_head(tmp_path: Path, codebook: Codebook, k: int, exact: bool) -> None:
    engine = opened(tmp_path, codebook, seal_rows=4_096)
    ids = np.random.default_rng(5).permutation(np.arange(1, 1_301))
    for batch in np.array_split(ids, 4):
        engine.apply([record(int(one), KINDS[0]) for one in batch])
        if batch[-1] != ids[-1]:
            engine.checkpoint(engine.freeze(), {})
    assert engine.counts().segments >= 1
    assert engine.counts().head_rows
    assert of(engine, k, exact=exact).ids.tolist() == list(range(1, k + 1))


def test_different_vectors_of_one_score(tmp_path: Path, codebook: Codebook) -> None:
    engine = opened(tmp_path, codebook, seal_rows=4_096)
    engine.apply([record(one, EQUAL_KINDS[one % 4]) for one in range(1, 801)])
    engine.checkpoint(engine.freeze(), {})
    scores = of(engine, 800, exact=True).scores
    assert len(set(scores.tolist())) == 1
    for k in (1, 7, 100):
        assert of(engine, k, exact=True).ids.tolist() == list(range(1, k + 1))


def test_replicas_that_cut_their_segments_elsewhere_agree(tmp_path: Path, codebook: Codebook) -> None:
    records = [record(one, KINDS[one % 4]) for one in np.random.default_rng(1).permutation(1_000).tolist()]
    replicas = [opened(tmp_path / name, codebook, seal_rows=10_000) for name in "ab"]
    for replica, cuts in zip(replicas, ([400, 700, 1_000], [100, 1_000]), strict=True):
        for begin, end in itertools.pairwise([0, *cuts]):
            replica.apply(records[begin:end])
            replica.checkpoint(replica.freeze(), {})
    for k in (5, 100, 240):
        first, second = (of(replica, k, exact=False) for replica in replicas)
        assert first.ids.tolist() == second.ids.tolist()
        assert first.scores.tobytes() == second.scores.tobytes()


def test_exact_search_among_copies_needs_little_memory(tmp_path: Path) -> None:
    """Sixteen queries on 60,000 copies: all scores and rows of all would be 11 MB in each part."""
    engine = Engine.open(
        tmp_path, dim=DIM, space=SPACE, index=INDEX, settings=SETTINGS.model_copy(update={"seal_rows": 100_000})
    )
    engine.apply([record(one, KINDS[0]) for one in range(60_000, 0, -1)])
    maintain(engine)
    options = SearchOptions(TENANT, 10, exact=True)
    engine.search(QUERY, options, far())
    tracemalloc.start()
    answers = engine.search(np.repeat(QUERY, 16, 0), options, far())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(answer.hits.ids.tolist() == list(range(1, 11)) for answer in answers)
    assert most < 4_000_000

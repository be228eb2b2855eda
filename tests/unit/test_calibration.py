"""From which score on a neighbour is more likely right: of made clusters, of labelled ones' own order, of too few."""

from pathlib import Path

import numpy as np
import pytest
from search_world import SPACE, BruteForceShard

from omma.calibration import LEAST_PICTURES, match_score
from omma.catalog.picture import NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import Tenant
from omma.index import Index, IndexId, IndexState
from omma.vectors import Float32, normalise
from services.topology.indexes import PlacedIndex
from services.worker.curation.calibrator import Calibrator
from tests.contract.catalogs import embedded, new

OWNER = np.zeros(4_000, np.int64)


def clusters(count: int, size: int, spread: float, dim: int = 64, seed: int = 0) -> Float32:
    """Unit rows, `size` of each cluster after each other."""
    rng = np.random.default_rng(seed)
    middles = normalise(rng.standard_normal((count, dim)).astype(np.float32))
    noise = rng.standard_normal((count * size, dim)).astype(np.float32) * np.float32(spread / dim**0.5)
    return normalise(np.repeat(middles, size, axis=0) + noise)


@pytest.mark.parametrize("spread", [0.5, 0.8])
def test_of_clusters_it_lies_between_those_of_one_and_those_of_two(spread: float) -> None:
    vectors = clusters(30, 11, spread)
    found = match_score(vectors, OWNER[: len(vectors)])
    assert found is not None
    label = np.repeat(np.arange(30), 11)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    same = label[:, None] == label[None]
    np.fill_diagonal(same, False)
    nearest = scores.argmax(1)
    best = scores.max(1)
    right = label[nearest] == label
    assert np.mean((best >= found) == right) > 0.9
    assert np.mean(scores[~same] >= found) < 0.01


def test_of_too_few_there_is_none() -> None:
    vectors = clusters(9, 11, 0.5)
    assert len(vectors) < LEAST_PICTURES
    assert match_score(vectors, OWNER[: len(vectors)]) is None


def test_pictures_of_two_owners_are_no_neighbours() -> None:
    """Two owners with the same pictures: a copy at the other's says nothing of what is near."""
    vectors = clusters(20, 11, 0.6)
    alone = match_score(vectors, OWNER[: len(vectors)])
    both = match_score(np.concatenate([vectors, vectors]), np.repeat([0, 1], len(vectors)))
    assert alone is not None and both is not None
    assert both == pytest.approx(alone, abs=0.1)
    assert match_score(vectors, np.arange(len(vectors))) is None


def test_equal_pictures_are_no_trouble() -> None:
    vectors = np.repeat(clusters(1, 1, 0.1), 200, axis=0)
    assert match_score(vectors, OWNER[:200]) == pytest.approx(1.0, abs=1e-5)


async def test_an_index_is_calibrated_when_it_has_pictures_and_again_when_it_has_others(tmp_path: Path) -> None:
    ann = Tenant("ann")
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    index = Index(IndexId(f"{SPACE.id}.1"), SPACE.id, "Flat", 1, IndexState.LIVE)
    await catalog.register_space(SPACE)
    await catalog.register_index(index)
    shard = BruteForceShard()
    placed = PlacedIndex(index, SPACE, ((shard,),))
    calibrator = Calibrator(catalog, lambda name: placed if name == index.id else None, 60.0)

    async def add(vectors: Float32) -> None:
        rows: list[NewPicture] = [new(f"{len(shard.pictures)}-{number}") for number in range(len(vectors))]
        for upserted, vector in zip(await catalog.upsert(ann, rows), vectors, strict=True):
            shard.add(upserted.id, vector)
            await embedded(catalog, upserted, space=SPACE.id)

    async def score() -> float | None:
        return (await catalog.indexes())[0].match_score

    await calibrator.look()
    assert await score() is None
    await add(clusters(12, 11, 0.4, SPACE.dim))
    await calibrator.look()
    near = await score()
    assert near is not None
    await catalog.keep_match_score(index.id, 0.123)
    await add(clusters(1, 5, 0.4, SPACE.dim, seed=1))
    await calibrator.look()
    assert await score() == 0.123, "five more of 132 move nothing"
    await add(clusters(12, 11, 2.0, SPACE.dim, seed=2))
    await calibrator.look()
    assert await score() not in (None, 0.123)
    other = Calibrator(catalog, lambda name: placed, 60.0)
    await catalog.keep_match_score(index.id, 0.123)
    await other.look()
    assert await score() == 0.123, "whoever has no lease leaves it"
    await catalog.close()

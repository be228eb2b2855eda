"""A codebook is one file; what it is trained as follows from what there is."""

from pathlib import Path

import numpy as np
import pytest

from omma.errors import Corrupt, InvalidQuery
from services.nn_shard.engine import Codebook
from services.nn_shard.training.fitting import adapt_factory, train_codebook
from tests.unit.engine_lives import clustered

ROWS = clustered(200, seed=1)


@pytest.fixture
def codebook() -> Codebook:
    return train_codebook(clustered(600, seed=5), "OPQ8_16,IVF8,PQ8x8")


def test_a_codebook_is_one_file_known_by_its_checksum(tmp_path: Path, codebook: Codebook) -> None:
    path = tmp_path / "codebook"
    path.write_bytes(codebook.to_bytes())
    loaded = Codebook.load(path, codebook.id)
    assert (loaded.id, loaded.tuning, loaded.train_rows) == (codebook.id, codebook.tuning, 600)
    rotated = loaded.rotate(ROWS)
    keys = loaded.assign(rotated, 1)[0][:, 0]
    assert np.array_equal(loaded.encode(rotated, keys), codebook.encode(rotated, keys))
    with pytest.raises(Corrupt):
        Codebook.from_bytes(codebook.to_bytes()[:-1] + b"x", codebook.id)
    for content in (b"", b"OMMACB01", codebook.to_bytes()[:100]):
        with pytest.raises(Corrupt):
            Codebook.from_bytes(content)


@pytest.mark.parametrize(
    ("factory", "dim", "rows", "adapted"),
    [
        ("OPQ64_256,IVF{nlist},PQ64x8", 256, 65_536, "OPQ64_256,IVF512,PQ64x8"),
        ("OPQ64_256,IVF{nlist},PQ64x8", 1_280, 65_536, "OPQ64_256,IVF512,PQ64x8"),
        ("OPQ64_256,IVF{nlist},PQ64x8", 100, 10_000, "OPQ32_96,IVF256,PQ32x8"),
        ("OPQ64_256,IVF{nlist},PQ64x8", 16, 256, "OPQ8_16,IVF6,PQ8x8"),
        ("IVF100,PQ16", 48, 100_000, "IVF100,PQ16x8"),
        ("OPQ128_256,IVF{nlist},PQ128x4fs", 256, 65_536, "IVF512,PQ128x4fs"),
        ("OPQ128_256,IVF{nlist},PQ128x4fs", 1_280, 65_536, "OPQ128_256,IVF512,PQ128x4fs"),
        ("OPQ128_256,IVF{nlist},PQ128x4fs", 101, 65_536, "OPQ50_100,IVF512,PQ50x4fs"),
        ("OPQ128_256,IVF{nlist},PQ128x4fs", 16, 256, "IVF6,PQ8x4fs"),
        ("OPQ128_256,IVF{nlist},PQ128x4fs", 3, 256, "OPQ2_2,IVF6,PQ2x4fs"),
        ("OPQ128_256,IVF{nlist},PQ128x4fs", 1, 256, "OPQ1_1,IVF6,PQ1x8"),
        ("IVF100,PQ16x4fs", 36, 100_000, "IVF100,PQ12x4fs"),
    ],
)
def test_a_factory_is_adapted_to_what_there_is(factory: str, dim: int, rows: int, adapted: str) -> None:
    assert adapt_factory(factory, dim, rows) == adapted


@pytest.mark.parametrize(
    "factory", ["", "Flat", "HNSW32", "OPQ8_16,IVF4,PQ4x8", "IVF4,PQ8x4", "IVF4,PQ0", "OPQ8_16,IVF4,PQ4x4fs"]
)
def test_a_factory_of_another_form_is_refused(factory: str) -> None:
    with pytest.raises(InvalidQuery):
        train_codebook(clustered(300, seed=1), factory)

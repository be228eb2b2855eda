"""Codes as they lie in lists: packed as FAISS packs them, and a segment's own again after merges."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from services.nn_shard.engine import SearchOptions
from services.nn_shard.engine.codes import layout_of
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.tuning import Tuning
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import TENANT, clustered, far, gone, maintain, nearest, opened, record

ROWS = clustered(2_000, seed=5)


@pytest.mark.parametrize(("blocks", "dim"), [(2, 4), (6, 12), (8, 16), (128, 256)])
def test_blocks_are_packed_as_faiss_packs_them(blocks: int, dim: int) -> None:
    rows = clustered(300, seed=3, dim=dim)
    quantizer = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFPQFastScan(quantizer, dim, 3, blocks, 4, faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows[:100])
    layout = layout_of(index)
    codes = index.sa_encode(rows[:100])[:, -layout.code_size :]
    lists = quantizer.search(rows[:100], 1)[1][:, 0]
    for number in range(3):
        mine = codes[lists == number]
        packed = layout.pack(mine)
        size = -(-len(mine) // layout.block) * layout.block * layout.code_size
        assert packed.tobytes() == faiss.rev_swig_ptr(index.invlists.get_codes(number), size).tobytes()
        places = np.random.default_rng(1).permutation(len(mine))
        content = np.concatenate([np.zeros(7, np.uint8), packed])
        unpacked = layout.unpack(content, np.full(len(mine), 7), places)
        np.testing.assert_array_equal(unpacked, mine[places])


@pytest.mark.parametrize("factory", ["OPQ8_16,IVF16,PQ8x8", "IVF16,PQ8x4fs", "OPQ6_12,IVF16,PQ6x4fs"])
def test_codes_are_the_same_after_deletes_and_merges(tmp_path: Path, factory: str) -> None:
    codebook = train_codebook(ROWS, factory)
    engine = opened(tmp_path, codebook, seal_rows=300, merge_ratio=100.0, exact_rows=0)
    for begin in range(0, len(ROWS), 150):
        engine.apply([record(at + 1, ROWS[at]) for at in range(begin, min(begin + 150, len(ROWS)))])
        maintain(engine)
    engine.apply([gone(at + 1, 2) for at in range(0, len(ROWS), 3)])
    engine.freeze()
    maintain(engine)
    left = np.setdiff1d(np.arange(len(ROWS)), np.arange(0, len(ROWS), 3))
    for part in engine._view.segments:
        assert isinstance(part.store, Segment)
        rows = np.arange(part.rows)
        rotated = codebook.rotate(part.store.vectors(rows).astype(np.float32))
        lists = part.store.lists
        assert lists is not None
        np.testing.assert_array_equal(part.store.codes(rows), codebook.encode(rotated, lists))
    queries = clustered(20, seed=9)
    answers = engine.search(queries, SearchOptions(TENANT, 10, effort=10), far())
    true = left[nearest(queries, ROWS[left], 10)] + 1
    found = np.mean([len(np.intersect1d(one.hits.ids, ids)) for one, ids in zip(answers, true, strict=True)]) / 10
    assert found > 0.97


def test_candidates_grow_with_the_root_of_the_rows_and_stay_bounded() -> None:
    tuning = Tuning(probes=((1, 4), (10, 8)), candidates=120, oversample=5.0)
    assert tuning.candidates_for(10, 0, 200) == 200
    assert tuning.candidates_for(10, 0, 200, growth=0.1) == 200
    assert tuning.candidates_for(10, 0, 200, growth=16.0) == 480
    assert tuning.candidates_for(100, 0, 200, growth=16.0) == 2_000
    assert tuning.candidates_for(100, 8, 200, growth=16.0) == 4_000
    assert tuning.candidates_for(100, 2, 200, growth=16.0) == 1_000
    assert tuning.candidates_for(1_000, 1, 200) == 2_000
    assert tuning.candidates_for(10_000, 10, 200, growth=100.0) == 32_768
    assert tuning.candidates_for(100_000, 0, 200) == 200_000


@pytest.mark.parametrize("factory", ["IVF16,PQ8x8", "OPQ8_16,IVF16,PQ8x8", "IVF16,PQ8x4fs", "OPQ6_12,IVF16,PQ6x4fs"])
def test_what_codes_say_of_a_row_is_near_it(factory: str) -> None:
    codebook = train_codebook(ROWS, factory)
    rows = ROWS[:100]
    lost = np.square(rows - codebook.reconstructed(rows)).sum(axis=1).mean()
    assert 0 < lost < np.square(rows - codebook.reconstructed(np.roll(rows, 1, axis=0))).sum(axis=1).mean() / 2

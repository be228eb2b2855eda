"""Training a codebook: a pure function of a sample."""

import math
from typing import Final

import numpy as np

from omma.errors import InvalidQuery
from omma.index import Factory
from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.codebook import Codebook, ivf_of
from services.nn_shard.engine.swig import Faiss, faiss
from services.nn_shard.engine_settings import EngineSettings
from services.nn_shard.training.measuring import measured

MIN_ROWS = 256
"""PQ has 256 centroids; FAISS trains none from fewer rows."""
_HELD_OUT = 1_024
_ROWS_A_LIST: Final = 128
"""K-means gains little from more: a sample grows with the root of the rows that it stands for."""
_MAX_LISTS: Final = 65_536
_MAX_SAMPLE: Final = 4_194_304
_READ_ROWS: Final = 65_536


def planned_rows(live: int, settings: EngineSettings) -> int:
    """What a shard of `live` rows makes a codebook for: so many that it may double before it outgrows it."""
    return max(settings.train_sample_rows, int(2 * live / settings.rebuild_growth))


def sample_rows(planned_rows: int) -> int:
    """Rows to train on for a shard of so many: all of them while they are few, 128 for each list when they are many."""
    return min(planned_rows, _MAX_SAMPLE, _ROWS_A_LIST * _lists_for(planned_rows))


def train_codebook(
    sample: Float16 | Float32, factory: str, *, planned_rows: int | None = None, seed: int = 0
) -> Codebook:
    """Train on sample: [n, d], L2-normalised, n >= 256; it may be mapped. Rows that are not finite are left out.

    factory: a FAISS factory string of the form `[OPQm_d,]IVF{nlist},PQmx4fs` or `…PQmx8`; m and d shrink to what the
    sample's dim allows (see adapt_factory), and `{nlist}` follows planned_rows: what one shard is to hold, the sample's
    unless told.
    Uses every core that OpenMP has; the caller lowers its priority. Holds the sample as float32 three times.
    Raises InvalidQuery, field `factory` or `sample`, for another form or too few rows.
    """
    order = _finite(sample)
    rows, dim = len(order), sample.shape[1]
    if rows < MIN_ROWS:
        raise InvalidQuery(f"A codebook needs at least {MIN_ROWS} rows to train on.", field="sample", limit=MIN_ROWS)
    planned = rows if planned_rows is None else planned_rows
    adapted = adapt_factory(factory, dim, rows, planned)
    index = faiss.index_factory(dim, adapted, faiss.METRIC_INNER_PRODUCT)
    bounded_by = _bound(index, seed)
    order = order[np.random.default_rng(seed).permutation(rows)]
    shuffled = np.empty((rows, dim), np.float32)
    for begin in range(0, rows, _READ_ROWS):
        shuffled[begin : begin + _READ_ROWS] = sample[order[begin : begin + _READ_ROWS]]
    index.train(shuffled)
    del bounded_by
    # Measured on a part of the sample as it will be: rows searched among the others.
    held = min(_HELD_OUT, rows // 8)
    tuning, coarse_score = measured(index, shuffled[:held], shuffled[held:])
    return Codebook.build(
        index, factory=adapted, train_rows=rows, planned_rows=planned, coarse_score=coarse_score, tuning=tuning
    )


def _finite(sample: Float16 | Float32) -> Int64:
    """Positions of the rows that are numbers, rising."""
    finite = np.empty(len(sample), np.bool_)
    for begin in range(0, len(sample), _READ_ROWS):
        finite[begin : begin + _READ_ROWS] = np.isfinite(sample[begin : begin + _READ_ROWS]).all(axis=1)
    return np.flatnonzero(finite)


def adapt_factory(factory: str, dim: int, rows: int, planned_rows: int | None = None) -> str:
    """The factory string with numbers that fit: nlist near 2 x sqrt(planned_rows), of 39 of the sample's rows at least,
    PQ blocks of at least 2 numbers. planned_rows: the sample's unless told.

    Raises InvalidQuery, field `factory`.
    """
    asked = Factory.parsed(factory)
    wanted = _lists_for(planned_rows or rows) if asked.nlist is None else asked.nlist
    nlist = max(1, min(wanted, rows // 39))  # k-means wants 39 rows a list
    out = dim if asked.out is None else min(asked.out, dim)
    if asked.four_bits and dim > 1:
        return _four_bits(asked, out, dim, nlist)
    m = asked.blocks
    while m > 1 and (out // m < 2 or (asked.out is None and dim % m)):
        m //= 2
    rotation = "" if asked.out is None else f"OPQ{m}_{out // m * m},"
    return f"{rotation}IVF{nlist},PQ{m}x8"


def _four_bits(asked: Factory, out: int, dim: int, nlist: int) -> str:
    """An even number of blocks, since two share a byte. Where all of the dimensions are kept and blocks divide them,
    the rotation is left out: blocks of two numbers have nothing to balance, and it is most of what training costs.
    """
    m = max(2, min(asked.blocks, out // 2) & ~1)
    while asked.out is None and dim % m and m > 2:
        m -= 2
    if asked.out is None and dim % m:
        raise InvalidQuery(f"{dim} dimensions have no even number of blocks; begin with OPQ.", field="factory")
    if asked.out is not None and (out < dim or dim % m):
        return f"OPQ{m}_{out // m * m},IVF{nlist},PQ{m}x4fs"
    return f"IVF{nlist},PQ{m}x4fs"


def _lists_for(rows: int) -> int:
    # 65,536 rows give 512 lists, ten million 4,096 or 8,192. A codebook meets some four times the rows that it is
    # planned for, and 4-bit codes are scanned faster than centroids are compared: ADR 0020 has what others cost.
    wanted: int = 2 ** round(math.log2(2 * math.sqrt(rows)))
    return min(_MAX_LISTS, wanted)


def _bound(index: Faiss, seed: int) -> Faiss | None:
    """Few iterations on a bounded sample; FAISS's defaults take 5 minutes on two cores.

    Returns what the index only borrows: keep it until after training.
    """
    ivf = ivf_of(index)
    if isinstance(ivf, faiss.IndexIVFPQ):
        # FAISS's factory turns it on; nothing here ranks by Hamming distance, and it costs 1.5 s of CPU a block.
        ivf.do_polysemous_training = False
    ivf.cp.niter, ivf.cp.seed, ivf.cp.max_points_per_centroid = 15, seed + 1, 256
    ivf.pq.cp.niter, ivf.pq.cp.seed, ivf.pq.cp.max_points_per_centroid = 10, seed + 2, 128
    ivf.cp.min_points_per_centroid = ivf.pq.cp.min_points_per_centroid = 1  # train_codebook has its own least
    outer = faiss.downcast_index(index)
    if not isinstance(outer, faiss.IndexPreTransform):
        return None
    opq = faiss.downcast_VectorTransform(outer.chain.at(0))
    opq.niter, opq.niter_pq, opq.niter_pq_0, opq.max_train_points = 6, 1, 6, 16_384
    blocks = faiss.ProductQuantizer(opq.d_out, opq.M, ivf.pq.nbits)
    blocks.cp.min_points_per_centroid = 1
    opq.pq = blocks
    return blocks

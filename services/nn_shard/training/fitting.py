"""Training a codebook: a pure function of a sample."""

import math
import re

import numpy as np

from omma.errors import InvalidQuery
from omma.vectors import Float32
from services.nn_shard.engine.codebook import Codebook, ivf_of
from services.nn_shard.engine.swig import Faiss, faiss
from services.nn_shard.training.measuring import measured

_FACTORY = re.compile(r"(?:OPQ(?P<blocks>\d+)_(?P<out>\d+),)?IVF(?P<nlist>\d+|\{nlist\}),PQ(?P<m>\d+)(?:x8)?")
MIN_ROWS = 256
"""PQ has 256 centroids; FAISS trains none from fewer rows."""
_HELD_OUT = 1_024


def train_codebook(sample: Float32, factory: str, *, seed: int = 0) -> Codebook:
    """Train on sample: float32[n, d], L2-normalised, n >= 256. Rows that are not finite are left out.

    factory: a FAISS factory string of the form `[OPQm_d,]IVF{nlist},PQmx8`; `{nlist}` follows n, and m and d shrink to
    what the sample's dim allows. Uses every core that OpenMP has; the caller lowers its priority.
    Raises InvalidQuery, field `factory` or `sample`, for another form or too few rows.
    """
    sample = sample[np.isfinite(sample).all(axis=1)]
    rows, dim = sample.shape
    if rows < MIN_ROWS:
        raise InvalidQuery(f"A codebook needs at least {MIN_ROWS} rows to train on.", field="sample", limit=MIN_ROWS)
    adapted = adapt_factory(factory, dim, rows)
    index = faiss.index_factory(dim, adapted, faiss.METRIC_INNER_PRODUCT)
    bounded_by = _bound(index, seed)
    order = np.random.default_rng(seed).permutation(rows)
    index.train(np.ascontiguousarray(sample[order]))
    del bounded_by
    # Measured on a part of the sample as it will be: rows searched among the others.
    held = order[: min(_HELD_OUT, rows // 8)]
    rest = np.ascontiguousarray(sample[order[len(held) :]])
    tuning, coarse_score = measured(index, np.ascontiguousarray(sample[held]), rest)
    return Codebook.build(index, factory=adapted, train_rows=rows, coarse_score=coarse_score, tuning=tuning)


def adapt_factory(factory: str, dim: int, rows: int) -> str:
    """The factory string with numbers that fit: nlist near 4 x sqrt(rows), PQ blocks of at least 2 numbers.

    Raises InvalidQuery, field `factory`.
    """
    match = _FACTORY.fullmatch(factory.replace(" ", ""))
    if match is None:
        raise InvalidQuery(f"{factory[:80]!r} is not of the form 'OPQm_d,IVF{{nlist}},PQmx8'.", field="factory")
    nlist = _nlist(rows) if match["nlist"] == "{nlist}" else max(1, min(int(match["nlist"]), rows // 39))
    m, out = int(match["m"]), min(int(match["out"] or dim), dim)
    if m < 1 or (match["blocks"] and int(match["blocks"]) != m):
        raise InvalidQuery("OPQ and PQ must have the same number of blocks.", field="factory")
    while m > 1 and (out // m < 2 or (not match["blocks"] and dim % m)):
        m //= 2
    rotation = f"OPQ{m}_{out // m * m}," if match["blocks"] else ""
    return f"{rotation}IVF{nlist},PQ{m}x8"


def _nlist(rows: int) -> int:
    # 65,536 rows give 1,024 lists; k-means wants 39 rows a list.
    wanted: int = 2 ** round(math.log2(4 * math.sqrt(rows)))
    return max(1, min(wanted, rows // 39))


def _bound(index: Faiss, seed: int) -> Faiss | None:
    """Few iterations on a bounded sample; FAISS's defaults take 5 minutes on two cores.

    Returns what the index only borrows: keep it until after training.
    """
    ivf = ivf_of(index)
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
    blocks = faiss.ProductQuantizer(opq.d_out, opq.M, 8)
    blocks.cp.min_points_per_centroid = 1
    opq.pq = blocks
    return blocks
